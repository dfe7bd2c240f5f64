"""A searcher of the user's own: found, made, held to its contract, and what becomes of a run in which it fails."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, UnknownNameError
from orchestrator.experiment import preview, resume, run
from orchestrator.records import TrialEnd
from orchestrator.search import Search, make_plan
from orchestrator.search.steps import Done, Wait

SPACE = {"learning_rate": "loguniform(1e-3, 1)", "momentum": "one_minus_loguniform(0.9, 0.99)"}
MINE = """
import numpy as np

class Mine:
    def __init__(self, space, seed, epochs, mode, rate=0.5):
        self.rate, self.heard = rate, []

    def tell(self, seen):
        self.heard.append((seen.trial, seen.epoch, seen.value, seen.ending))

    def ask(self, index):
        return {"learning_rate": np.float64(self.rate)}


class Waits(Mine):
    def ask(self, index):
        ended = {trial for trial, _, _, ending in self.heard if ending}
        return {"learning_rate": 0.5 ** (1 + len(ended))} if index == len(ended) and index < 2 else None


class Fails(Mine):
    def ask(self, index):
        if index == 1:
            raise RuntimeError("no idea")
        return {"learning_rate": 7.0} if index == 2 else super().ask(index)


class Meddles(Mine):
    def tell(self, seen):
        seen.hyperparameters["momentum"] = 0.0

    def ask(self, index):
        if index == 2:
            raise SystemExit(3)
        return {"one_minus_momentum": 0.05} if index == 1 else {}


class Lacks:
    def __init__(self, **about):
        pass

    def ask(self, index):
        return {}


class Broken(Mine):
    def __init__(self, space, seed, epochs, mode):
        raise KeyError("units")
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)

    def of(searcher, count=3):
        content = {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": SPACE, "epochs": 3, "caviar": {"num_samples": count, "searcher": searcher},
        }  # fmt: skip
        experiment = parse_experiment(content).at(tmp_path)
        return make_plan(experiment, Space.parse(experiment.search_space))

    return of


def test_what_it_proposes_is_tried_and_the_rest_is_drawn(plan):
    search = Search(plan({"./mine.py:Mine": {"rate": 0.25}}))
    specs = [search.next().spec for _ in range(3)]
    drawn = [Space.parse(SPACE).draw(0, index) for index in range(3)]
    assert [spec.hyperparameters for spec in specs] == [
        {**values, "learning_rate": 0.25} for values in drawn
    ]
    assert all(type(spec.hyperparameters["learning_rate"]) is float for spec in specs)


def test_it_is_told_beginnings_epochs_and_ends(plan):
    search = Search(plan("./mine.py:Mine", count=1))
    trial = search.next().spec.trial
    search.tell({"trial": trial, "epoch": 1, "metrics": {"val_accuracy": 0.5}, "seconds": 1.0})
    search.tell(TrialEnd(trial, "stopped", 1.0))
    assert search._searcher._made.heard == [
        ("00000", 0, None, None), ("00000", 1, 0.5, None), ("00000", 1, 0.5, "stopped")
    ]  # fmt: skip


def test_one_that_has_nothing_to_try_yet_is_asked_again_and_ends_the_search_where_it_learns_no_more(
    plan,
):
    search = Search(plan("./mine.py:Waits", count=9))
    rates = []
    for _ in range(2):
        spec = search.next().spec
        rates.append(spec.hyperparameters["learning_rate"])
        assert isinstance(search.next(), Wait) and not search.is_done
        search.tell(TrialEnd(spec.trial, "finished", 1.0))
    assert rates == [0.5, 0.25]
    assert isinstance(search.next(), Done) and search.is_done


def test_where_it_fails_the_trial_is_drawn_and_that_is_said_once(plan, capsys):
    search = Search(plan("./mine.py:Fails"))
    specs = [search.next().spec for _ in range(3)]
    drawn = [Space.parse(SPACE).draw(0, index) for index in range(3)]
    assert specs[0].hyperparameters["learning_rate"] == 0.5
    assert [spec.hyperparameters for spec in specs[1:]] == drawn[1:]
    said = capsys.readouterr().err
    assert (
        said.count(
            "caviar.searcher ./mine.py:Fails: its code raised RuntimeError: no idea (mine.py line"
        )
        == 1
    )
    assert said.count("trials are drawn at random") == 1


def test_what_it_does_to_what_it_is_told_changes_no_trial(plan, capsys):
    search = Search(plan("./mine.py:Meddles"))
    specs = [search.next().spec for _ in range(3)]
    drawn = [Space.parse(SPACE).draw(0, index) for index in range(3)]
    assert [spec.hyperparameters for spec in specs] == drawn
    said = capsys.readouterr().err
    assert (
        "./mine.py:Meddles: ask: expected momentum itself, got 'one_minus_momentum' alone." in said
    )


@pytest.mark.parametrize(
    ("searcher", "error", "said"),
    [
        ("./mine.py:Lacks", ExperimentFileError, "expected a searcher with tell(observation). Received: 'Lacks'."),
        ("./mine.py:Broken", ExperimentFileError, "its code raised KeyError: 'units' (mine.py line"),
        ({"./mine.py:Mine": {"rat": 1}}, ExperimentFileError, "unexpected keyword argument 'rat'"),
        ("./mine.py:Minne", UnknownNameError, "Did you mean 'Mine'?"),
        ("./other.py:Mine", UnknownNameError, "no file"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_sentence(plan, searcher, error, said):
    with pytest.raises(error) as caught:
        plan(searcher)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_has_it_and_goes_on_with_the_same_code_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    keys = {
        "name": "mine", "model": "mlp", "data": "digits", "epochs": 1, "limits": {"max_trials": 1},
        "search_space": {"learning_rate": "loguniform(1e-3, 1)", "units": 4},
        "caviar": {"num_samples": 3, "searcher": "./mine.py:Mine"},
    }  # fmt: skip
    assert preview(keys).draws(2)[1]["learning_rate"] == 0.5
    done = run(keys, executor="inline", progress=False)
    assert [trial.hyperparameters["learning_rate"] for trial in done.records.trials] == [0.5]
    assert set(done.records.manifest["searcher"]["files"]) == {"mine.py"}
    events = done.path / "events.jsonl"
    events.write_text("".join(line for line in events.open() if '"run_finished"' not in line))
    (tmp_path / "mine.py").write_text(MINE.replace("rate=0.5", "rate=0.125"))
    with pytest.raises(ExperimentFileError, match=r"code of searcher \./mine\.py:Mine"):
        resume(done.path, executor="inline", progress=False)


TRAIN = """

def train(hp, report):
    report(1, score=hp["learning_rate"])
"""


def test_each_trial_that_was_drawn_since_it_failed_is_recorded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = {
        "name": "fails", "trial": "./mine.py:train", "epochs": 1, "metric": "score", "mode": "max",
        "search_space": SPACE, "caviar": {"num_samples": 4, "searcher": "./mine.py:Fails"},
    }  # fmt: skip
    (tmp_path / "mine.py").write_text(MINE + TRAIN)
    done = run(keys, executor="inline", progress=False)
    failed = [event for event in done.records.events if event["event"] == "searcher_failed"]
    assert [event["index"] for event in failed] == [1, 2]
    assert "raised RuntimeError: no idea" in failed[0]["reason"]
    assert "learning_rate: expected a value of loguniform(1e-3, 1), got 7.0" in failed[1]["reason"]
