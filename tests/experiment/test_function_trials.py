"""Runs whose trials call a user's function are recorded, cut off, resumed, extended and submitted as others are."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace

import pytest

from orchestrator.config import experiment_schema
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, OrchestratorError, RecordError
from orchestrator.experiment import (
    extend,
    preview,
    resume,
    run,
    verify,
)
from orchestrator.experiment.kinds import function_trials
from orchestrator.experiment.submission import make_submission
from orchestrator.records import read_run
from orchestrator.search import Round, make_plan
from tests.depth import further, in_depth

MINE = """
def train(hp, report):
    for epoch in range(1, 10):
        report(epoch, val_loss=hp["rate"] / epoch)
"""
KEEPS = """
import os
def train(hp, report):
    found = report.checkpoint.load()
    at = float((found / "at").read_text()) if found else 0.0
    for epoch in range(report.checkpoint.epoch + 1, 20):
        with open("trained.txt", "a") as file:
            print(hp["rate"], epoch, file=file)
        at += hp["rate"]
        with report.checkpoint.save(epoch) as folder:
            (folder / "at").write_text(str(at))
        report(epoch, val_loss=at / epoch**2)
"""
KEYS = {
    "name": "fn", "trial": "./mine.py:train", "metric": "val_loss", "epochs": 9,
    "search_space": {"rate": "loguniform(1e-3, 1)"}, "caviar": {"num_samples": 6},
}  # fmt: skip
QUIETLY = {"executor": "inline", "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def facts(records):
    """What is recorded of each trial, but for times and places."""
    rows = [(row["trial"], row["epoch"], row["metrics"]) for row in records.epochs]
    trials = {t.trial: (t.ending, t.stopped_by, dict(t.hyperparameters)) for t in records.trials}
    return sorted(rows, key=lambda row: row[:2]), trials


def cut_off(folder, epochs, trials):
    """Have the records of a run end as if its driver had died there."""
    for name, lines in (("epochs.jsonl", epochs), ("trials.jsonl", trials)):
        file = folder / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:lines]))
    events = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in events if '"winner"' not in line and '"run_finished"' not in line]
    (folder / "events.jsonl").write_text("".join(kept))


def test_a_run_is_ranked_and_its_winner_is_written_down(here):
    done = run(KEYS, **QUIETLY)
    assert done.status == "finished" and len(done.records.trials) == 6
    rates = [trial.hyperparameters["rate"] for trial in done.records.contenders]
    assert rates[0] == min(rates)
    assert {trial.status for trial in done.records.trials} == {"finished", "stopped"}
    best = json.loads((done.path / "best" / "metrics.json").read_text())
    assert best["validation"]["loss"] == done.best.value == rates[0] / 9
    assert list(done.records.manifest["trial"]["files"]) == ["mine.py"]
    with pytest.raises(RecordError, match=r"trials call \./mine\.py:train, which keeps its model"):
        done.load_model()


@pytest.mark.parametrize("promote", [True, False])
@pytest.mark.parametrize(("epochs", "trials"), [further(0, 1), (4, 1), further(9, 2), (11, 4)])
def test_one_that_was_cut_off_goes_on_to_the_same_records(here, epochs, trials, promote):
    keys = {**KEYS, "caviar": {"num_samples": 6, "scheduler": {"asha": {"promote": promote}}}}
    done = run(keys, **QUIETLY)
    whole, best = facts(done.records), done.best.trial
    cut_off(done.path, epochs, trials)
    resumed = resume(done.path, **QUIETLY)
    assert facts(resumed.records) == whole
    assert resumed.status == "finished" and resumed.best.trial == best


@pytest.fixture
def keeping(here):
    """Have the function keep its states, and return the epochs that were trained, one by one."""
    (here / "mine.py").write_text(KEEPS)
    return lambda: (here / "trained.txt").read_text().splitlines()


def test_trials_that_keep_states_are_paused_and_promoted_without_an_epoch_twice(here, keeping):
    keys = {**KEYS, "caviar": {"num_samples": 6, "scheduler": {"asha": {"promote": True}}}}
    done = run(keys, **QUIETLY)
    assert len(keeping()) == len(set(keeping())) == len(done.records.epochs)
    at = float((done.path / "best" / "checkpoint" / "at").read_text())
    best = done.best
    epoch = done.records.of(best.trial).best.epoch
    assert at == pytest.approx(epoch * best.hyperparameters["rate"])
    kept = {file.name.partition(".")[0] for file in (done.path / "checkpoints").iterdir()}
    assert kept == {best.trial}, "other trials' states are deleted as their other states are"


def test_trials_that_keep_states_are_made_longer_from_them(here, keeping):
    run(
        {**KEYS, "caviar": {"num_samples": 2, "scheduler": "none"}, "keep_checkpoints": 2},
        **QUIETLY,
    )
    longer = extend("fn", epochs="+3", **QUIETLY)
    assert len(keeping()) == len(set(keeping())) == 24
    assert {len(longer.records.of(t.trial).epochs) for t in longer.records.trials} == {12}
    for trial in longer.records.trials:
        rate = trial.hyperparameters["rate"]
        values = [row["metrics"]["val_loss"] for row in longer.records.of(trial.trial).epochs]
        assert values == pytest.approx([rate / epoch for epoch in range(1, 13)])


def test_a_state_without_the_file_that_the_function_looks_for_fails_its_trial_alone(here):
    (here / "mine.py").write_text("""
def train(hp, report):
    found = report.checkpoint.load()
    if found:
        (found / "missing").read_text()
    for epoch in range(report.checkpoint.epoch + 1, 10):
        with report.checkpoint.save(epoch) as folder:
            (folder / "at").write_text("")
        report(epoch, val_loss=hp["rate"])
""")
    keys = {**KEYS, "caviar": {"num_samples": 6, "scheduler": {"asha": {"promote": True}}}}
    done = run(keys, **QUIETLY)
    assert done.status == "finished"
    errors = {t.error.partition(":")[0] for t in done.records.trials if t.status == "failed"}
    assert errors == {"FileNotFoundError"}


def test_it_is_not_gone_on_with_by_another_code(here):
    done = run(KEYS, **QUIETLY)
    cut_off(done.path, 4, 1)
    (here / "mine.py").write_text(MINE.replace("/ epoch", "/ epoch ** 2"))
    with pytest.raises(ExperimentFileError, match=r"code of trial \./mine\.py:train"):
        resume(done.path, **QUIETLY)


def test_it_is_made_longer(here):
    run({**KEYS, "caviar": {"num_samples": 3, "scheduler": "none"}}, **QUIETLY)
    longer = extend("fn", num_samples="+2", epochs="+3", **QUIETLY)
    assert len(longer.records.trials) == 5
    lengths = {
        trial.trial: len(longer.records.of(trial.trial).epochs) for trial in longer.records.trials
    }
    assert set(lengths.values()) == {9}, "the function reports no more"


def test_one_that_returns_early_again_when_made_longer_is_over_and_may_be_raced(here):
    def train(hp, report, *, seed):
        for epoch in range(1, 2 if hp["rate"] < 0.5 else 10):
            report(epoch, val_loss=hp["rate"] + seed / 2**40)

    given = {"trial": train, "metric": "val_loss", "search_space": {"rate": "uniform(0, 1)"}}
    options = {"num_samples": 6, "finalists": False}
    done = run(**given, caviar=options, name="early", epochs=3, **QUIETLY)
    longer = extend(done, epochs="+2", trial=train, **QUIETLY)
    assert len(longer.records.of(longer.best.trial).epochs) == 1
    raced = verify(longer, trial=train, **QUIETLY)
    assert longer.best.trial in raced.records.state.race["finalists"]


def test_a_function_may_be_given_in_python(here):
    def train(hp, report):
        report(1, val_loss=hp["rate"])

    done = run(trial=train, metric="val_loss", search_space={"rate": "uniform(0, 1)"}, **QUIETLY)
    assert done.name == "train" and done.best.value == done.best.hyperparameters["rate"]


def test_preview_says_what_a_trial_is(here):
    assert "a call of ./mine.py:train" in repr(preview(KEYS))


def test_what_is_submitted_has_its_code(here):
    (here / "fn.yaml").write_text(json.dumps(KEYS))
    _, sent = make_submission(here / "fn.yaml", target="local")
    assert [file.there for file in sent.files] == ["mine.py"]
    assert "trial: ./mine.py:train" in sent.document and "model: null" in sent.document


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "mlp"}, "model: expected no such key beside trial"),
        ({"data": "digits"}, "data: expected no such key beside trial"),
        ({"metrics": ["auc"]}, "metrics: expected no such key beside trial"),
        ({"recalibrate_batch_norm": "off"}, "recalibrate_batch_norm: expected no such key beside trial"),
        ({"metric": "auto"}, "metric: expected the name of a metric that the function reports"),
        ({"metric": "speed"}, "mode: max or min is needed, since the direction of speed is unknown"),
        ({"trial": None}, "model: expected mlp, cnn, resnet, or your own"),
        ({"trial": "./mine.py:run"}, "a function 'run' in mine.py. Received: 'run'. Known: train."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_in_one_sentence(here, changes, said):
    with pytest.raises(OrchestratorError) as caught:
        preview({**KEYS, **changes})
    assert said in str(caught.value)
    assert not (here / "runs").exists()


def test_the_schema_takes_a_trial_or_a_model_with_data():
    jsonschema = pytest.importorskip("jsonschema")
    schema = jsonschema.Draft202012Validator(experiment_schema())
    model = {"model": "mlp", "data": "digits", "search_space": "mlp"}
    valid = [
        schema.is_valid(file) for file in (KEYS, model, {**KEYS, "trial": 3}, {"model": "mlp"}, {})
    ]
    assert valid == [True, True, False, False, False]


class Narrower:
    """Halves the range around the best trial, twice."""

    def __init__(self):
        self.told = []

    def tell(self, seen):
        self.told.append(seen)

    def after(self, last):
        if last.number == 3:
            return None
        best = min(
            (seen for seen in self.told if seen.value is not None), key=lambda seen: seen.value
        )
        rate = best.hyperparameters["rate"]
        space = Space.parse({"rate": f"loguniform({rate / 2}, {rate * 2})"})
        return Round(last.number + 1, space, last.end, 3)


@dataclass(frozen=True)
class ThreeRounds:
    trials: int = 9

    def make(self, epochs, mode):
        return Narrower()


@pytest.fixture
def in_rounds(monkeypatch):
    def planned(*told):
        return replace(make_plan(*told), num_trials=3, rounds=ThreeRounds())

    monkeypatch.setattr(function_trials, "make_plan", planned)


KEYS_OF_ROUNDS = {**KEYS, "caviar": {"num_samples": 3, "scheduler": "none"}}


def test_rounds_are_recorded_and_each_begins_where_the_last_one_led(here, in_rounds):
    done = run(KEYS_OF_ROUNDS, **QUIETLY)
    began = [event for event in done.records.events if event["event"] == "round_began"]
    assert [(event["round"], event["first"], event["trials"]) for event in began] == [
        (2, 3, 3),
        (3, 6, 3),
    ]
    state = done.records.state
    assert [state.round_of(f"{index:05d}") for index in range(9)] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    for event in began:
        space = Space.parse(event["space"])
        inside = range(event["first"], event["first"] + event["trials"])
        rates = [done.records.trial(f"{index:05d}").hyperparameters["rate"] for index in inside]
        assert all(space.domains["rate"].contains(rate) for rate in rates)


@pytest.mark.parametrize("over", in_depth(range(1, 9), 1, 3, 7))
def test_a_run_in_rounds_goes_on_to_the_same_records(here, in_rounds, over):
    again = run(KEYS_OF_ROUNDS, **QUIETLY)
    whole = facts(again.records)
    cut_off(again.path, 9 * over, 2 * over)
    lines = (again.path / "events.jsonl").read_text().splitlines(keepends=True)
    begun = [line for line in lines if '"round_began"' in line][: (over - 1) // 3]
    kept = [line for line in lines if '"round_began"' not in line] + begun
    (again.path / "events.jsonl").write_text("".join(kept))
    assert facts(resume(again.path, **QUIETLY).records) == whole
    began = [
        event["round"] for event in read_run(again.path).events if event["event"] == "round_began"
    ]
    assert began == [2, 3]


def test_names_that_are_no_utf_8_are_as_any_others(here, monkeypatch):
    odd = here / os.fsdecode(b"gr\xfc\xdfe")
    odd.mkdir()
    (odd / "mine.py").write_text(MINE)
    file = odd / os.fsdecode(b"\xe9.yaml")
    file.write_text(json.dumps(KEYS))
    monkeypatch.chdir(odd)
    done = run(file, **QUIETLY)
    assert done.status == "finished" and read_run(done.path).winner is not None
    assert resume(done.path, **QUIETLY).best.trial == done.best.trial


def test_the_total_of_a_finite_space_is_what_it_has(here, capsys):
    two = {"search_space": {"rate": "choice([0.1, 0.2])"}, "caviar": {"num_samples": 9}}
    done = run({**KEYS, **two}, executor="inline")
    assert done.records.planned_trials == 2
    told = capsys.readouterr().err
    assert "in this process: 2 trials of up to 9 epochs" in told and "2/2 trials" in told
    more = extend(done, ["search_space.rate=choice([0.2, 0.3, 0.4])"], **QUIETLY)
    assert more.records.planned_trials == 4
    wide = extend(more, ["search_space.rate=uniform(0, 1)"], **QUIETLY)
    assert wide.records.planned_trials == len(wide.records.trials) == 9
