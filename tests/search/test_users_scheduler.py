"""``scheduler: ./mine.py:Mine``: checked before anything starts, made with its options, and heard with care."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment, to_yaml
from orchestrator.config.document import parse_document
from orchestrator.config.load import check
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, OrchestratorError
from orchestrator.search import make_plan
from tests.test_testing import Mine

MINE = """
from orchestrator.schedulers import Decision
from below import FLOOR

class Mine:
    name = "mine"

    def __init__(self, epochs, mode, at=3, floor=FLOOR):
        self.told = (epochs, mode, at, floor)
        self.milestones = (at,) if at < epochs else ()

    def report(self, trial, epoch, value, ties):
        print("a remark")
        return Decision(epoch in self.milestones and value < self.told[3], self.told[3])

    def review(self, epoch):
        return {}

class NoReview:
    name = "mine"
    milestones = (0, 3)
    def __init__(self, epochs, mode): pass
    def report(self, trial, epoch, value, ties): ...

class Raises(Mine):
    def report(self, trial, epoch, value, ties):
        raise KeyError("floor")
    def review(self, epoch):
        return {"00000": True}

def made_by(epochs, mode):
    return Mine(epochs, mode, at=2)
"""


@pytest.fixture
def here(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "below.py").write_text("FLOOR = 0.5\n")
    (tmp_path / "broken.py").write_text("class Mine(:\n")
    return tmp_path


def experiment(place, written, **keys):
    content = {
        "name": "one", "model": "mlp", "data": "digits", "epochs": 9,
        "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
        "caviar": {"num_samples": 2, "scheduler": written},
    }  # fmt: skip
    return parse_experiment(content | keys).at(place)


def planned(place, written, **keys):
    made = experiment(place, written, **keys)
    return make_plan(made, Space.parse(made.search_space)).scheduler


@pytest.mark.parametrize(
    ("written", "milestones", "floor"),
    [
        ("./mine.py:Mine", (3,), 0.5),
        ({"./mine.py:Mine": {"at": 4, "floor": 0.1}}, (4,), 0.1),
        ({"./mine.py:Mine": None}, (3,), 0.5),
        ("./mine.py:made_by", (2,), 0.5),
    ],
)
def test_it_is_made_with_its_options_epochs_and_mode(here, written, milestones, floor):
    scheduler = planned(here, written).make(9, "max")
    assert (scheduler.name, scheduler.milestones) == ("mine", milestones)
    assert scheduler.report("a", milestones[0], floor - 0.01, (0.0, 0.0)).stop
    assert not scheduler.report("b", milestones[0], floor, (0.0, 0.0)).stop


def test_one_of_an_installed_package_is_named_with_dots(here):
    scheduler = planned(here, {f"{Mine.__module__}:Mine": {"at": 2}}).make(9, "min")
    assert scheduler.milestones == (2,)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("./mine.py", "such as ./mine.py:Mine"),
        ("./mien.py:Mine", "no file"),
        ("./mine.py:Mien", "Did you mean 'Mine'?"),
        ("./broken.py:Mine", "broken.py line 1 is not valid Python"),
        ("./below.txt:Mine", "no file"),
        ("no_such_package.mine:Mine", "an installed module was expected"),
        ({"./mine.py:Mine": {"att": 4}}, "unexpected keyword argument 'att'"),
        ({"./mine.py:Mine": [4]}, "expected the options of one scheduler"),
        ("./mine.py:NoReview", "milestones (whole numbers, ascending, from 1 to below epochs), review(epoch)"),
    ],
)  # fmt: skip
def test_what_is_no_scheduler_is_refused_in_one_sentence(here, written, said):
    with pytest.raises(OrchestratorError) as caught:
        planned(here, written)
    assert said in str(caught.value)
    assert "caviar.scheduler" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("written", ["./mine.py:Mine", {"./mine.py:Mine": {"at": 4}}])
def test_it_is_written_as_it_was_and_loads_back_equal(here, written):
    before = experiment(here, written)
    text = to_yaml(before)
    after = check(parse_document(text, here / "one.yaml"))
    assert after == before
    assert after.model_dump()["caviar"]["scheduler"] == written


def test_a_panda_asks_no_scheduler(here):
    panda = {"strategy": "panda", "panda": {"start": {"learning_rate": 0.1}}}
    planned(here, "./absent.py:Mine", **panda)


def test_where_its_code_fails_the_trial_goes_on_and_it_is_said_once(here, capfd):
    scheduler = planned(here, "./mine.py:Raises").make(9, "max")
    assert not scheduler.report("a", 3, 0.1, (0.0, 0.0)).stop
    assert not scheduler.report("b", 3, 0.1, (0.0, 0.0)).stop
    assert scheduler.review(3) == {}
    said = capfd.readouterr().err
    assert said.count("raised KeyError: 'floor' (mine.py line") == 1


def test_what_it_prints_is_not_on_stdout(here, capfd):
    planned(here, "./mine.py:Mine").make(9, "max").report("a", 3, 0.1, (0.0, 0.0))
    assert capfd.readouterr().out == ""


def test_an_option_is_set_by_naming_all_of_them(here):
    keys = {"name": "one", "model": "mlp", "data": "digits", "search_space": {"learning_rate": 1}}
    made = parse_experiment(keys, ["caviar.scheduler={./mine.py:Mine: {at: 2}}"]).at(here)
    assert make_plan(made, Space.parse(made.search_space)).scheduler.options == {"at": 2}


def test_a_bare_word_is_one_of_ours(here):
    with pytest.raises(ExperimentFileError, match="unknown scheduler"):
        experiment(here, "Mine")
