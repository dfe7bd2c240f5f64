"""Optuna objectives run as they stand: their space is found, reports are epochs, what they return is their value."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExperimentFileError, OrchestratorError
from orchestrator.experiment import extend, preview, resume, run
from orchestrator.records import read_run

OBJECTIVE = '''
import optuna

def objective(trial):
    """A valley in x, deeper the more epochs; a branch with a range of its own."""
    assert isinstance(trial, optuna.trial.Trial)
    x = trial.suggest_float("x", -10, 10)
    kind = trial.suggest_categorical("kind", ["plain", "shifted"])
    shift = trial.suggest_int("shift", 0, 8, step=2) if kind == "shifted" else 0
    for step in range(9):
        value = (x - shift) ** 2 + 10 / (step + 1)
        trial.report(value, step)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("shifted_by", shift)
    return value - 0.5

def silent(trial):
    return trial.suggest_float("x", 1e-3, 1, log=True) + trial.number

def returns_text(trial):
    trial.suggest_float("x", 0, 1)
    return "low"

def returns_two(trial):
    return trial.suggest_float("x", 0, 1), 2.0

def late(trial):
    trial.suggest_float("x", 0, 1)
    trial.report(1.0, 0)
    return trial.suggest_float("y", 0, 1)

def prunes_itself(trial):
    if trial.suggest_float("x", 0, 1) < 2:
        raise optuna.TrialPruned

def is_unfinished(trial):
    trial.suggest_float("x", 0, 1)
    raise KeyError("rows")

def asks_nothing(trial):
    return 1.0

def tuples(trial):
    return sum(trial.suggest_categorical("layers", [(64,), (64, 32), None]) or ())

def follows_a_file(trial):
    high = float(open("high.txt").read())
    return trial.suggest_float("x", 0, high)

def follows_the_surroundings(trial):
    import os
    return sum(trial.suggest_float(f"x{n}", 0, 1) for n in range(int(os.environ["DEPTH"])))

def trains_first(trial):
    import time
    trial.suggest_float("x", 0, 1)
    time.sleep(600)
    return trial.suggest_float("y", 0, 1)

def catches_everything(trial):
    trial.suggest_float("x", 0, 1)
    for step in range(3):
        try:
            trial.report(1.0, step)
        except Exception:
            raise AssertionError from None
    return 1.0

def ends(trial):
    trial.suggest_float("x", 0, 1)
    raise SystemExit(3)
'''
QUIETLY = {"executor": "inline", "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OBJECTIVE)
    return tmp_path


def keys(name="objective", **changes):
    return {
        "name": "opt", "trial": {"optuna": f"./mine.py:{name}"}, "metric": "value", "mode": "min", "epochs": 9,
        "caviar": {"num_samples": 8, "finalists": False}, **changes,
    }  # fmt: skip


def of(run, trial):
    """The hyperparameters and the values of a trial."""
    rows = [row["metrics"] for row in run.records.epochs if row["trial"] == trial]
    found = next(each for each in run.records.all_trials if each.trial == trial)
    return dict(found.hyperparameters), rows


def test_an_objective_is_tuned_as_it_stands(here):
    done = run(keys(), **QUIETLY)
    assert done.status == "finished"
    assert done.records.experiment["search_space"] == {
        "x": "uniform(-10, 10, hard=true)",
        "kind": "choice([plain, shifted])",
        "shift": {"when": {"kind": "shifted"}, "domain": "integer(0, 8, step=2, hard=true)"},
    }
    assert {trial.ending for trial in done.records.trials} == {"finished", "stopped"}
    own, rows = of(done, done.best.trial)
    shift = own.get("shift", 0)
    assert [row["value"] for row in rows[:8]] == [
        (own["x"] - shift) ** 2 + 10 / (step + 1) for step in range(8)
    ]
    last = (own["x"] - shift) ** 2 + 10 / 9 - 0.5  # what it returns, in place of its last report
    assert len(rows) == 9 and rows[8] == {"value": last, "shifted_by": shift}


def test_an_objective_that_reports_nothing_has_one_epoch_and_knows_its_number(here):
    done = run(keys("silent"), **QUIETLY)
    for number, trial in enumerate(done.records.trials):
        own, rows = of(done, trial.trial)
        assert rows == [{"value": own["x"] + number}]


def test_what_is_returned_after_fewer_reports_is_one_more_epoch_unless_it_was_the_last(here):
    done = run(keys(epochs=20), **QUIETLY)
    _, rows = of(done, done.best.trial)
    assert len(rows) == 10 and rows[9]["value"] == rows[8]["value"] - 0.5


def test_an_option_that_no_file_can_hold_goes_by_its_text(here):
    done = run(keys("tuples", mode="max"), **QUIETLY)
    assert (
        done.records.experiment["search_space"]["layers"] == 'choice(["(64,)", "(64, 32)", null])'
    )
    sums = {
        of(done, t.trial)[0]["layers"]: of(done, t.trial)[1][0]["value"]
        for t in done.records.trials
    }
    assert sums.items() <= {"(64,)": 64, "(64, 32)": 96, None: 0}.items()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("returns_text", "expected a number as what it returns, value. Received: 'str'"),
        (
            "returns_two",
            "expected one value, value; a trial is judged by one. Received: '2 values'",
        ),
        ("late", "hyperparameters that were found before the run"),
        (
            "prunes_itself",
            "expected a value, reported or returned. Received: 'a trial that pruned itself",
        ),
    ],
)
def test_what_an_objective_may_not_do_is_its_trials_row(here, name, said):
    done = run(keys(name, caviar={"num_samples": 2}), **QUIETLY)
    assert all(said in trial.error for trial in done.records.trials)


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("is_unfinished", {}, "its code raised KeyError: 'rows' .mine.py line"),
        ("asks_nothing", {}, "code that asks for at least one hyperparameter"),
        ("ends", {}, "its code ended the process .exit code 3"),
        ("objectiv", {}, "Did you mean 'objective'"),
        (
            "objective",
            {"search_space": {"x": "uniform(0, 99)"}},
            r"search_space.x: expected a part of the range",
        ),
        ("objective", {"search_space": {"depth": 3}}, "expected a hyperparameter that it asks for"),
        ("objective", {"metric": "auto"}, "the name of a metric that the optuna reports"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(here, name, changes, said):
    with pytest.raises(OrchestratorError, match=said):
        run(keys(name, **changes), **QUIETLY)
    assert not (here / "runs").exists()


def test_an_objective_that_trains_before_its_last_question_is_not_waited_for(here, monkeypatch):
    monkeypatch.setattr("orchestrator.training.exploring.QUIET_SECONDS", 0.2)
    assert list(preview(keys("trains_first")).space.domains) == ["x"]


def test_an_objective_without_should_prune_is_stopped_at_its_report(here):
    scheduler = {"asha": {"promote": False, "grace_period": 1, "reduction_factor": 2}}
    done = run(
        keys("catches_everything", caviar={"num_samples": 4, "scheduler": scheduler}), **QUIETLY
    )
    assert {trial.ending for trial in done.records.trials} == {"finished", "stopped"}


def test_what_the_file_says_of_a_hyperparameter_stands_in_place_of_its_own_range(here):
    found = preview(
        keys(search_space={"kind": "shifted", "x": "uniform(0, 4)"})
    ).space.to_document()
    assert found == {
        "x": "uniform(0, 4)", "kind": "shifted", "shift": "integer(0, 8, step=2, hard=true)",
    }  # fmt: skip


def test_a_run_that_was_cut_off_goes_on_in_the_recorded_space(here):
    done = run(keys(caviar={"num_samples": 8, "finalists": False, "scheduler": "none"}), **QUIETLY)
    rows = sorted((r["trial"], r["epoch"], str(r["metrics"])) for r in done.records.epochs)
    for name, lines in (("epochs.jsonl", 30), ("trials.jsonl", 6), ("events.jsonl", 1)):
        file = done.path / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:lines]))
    assert read_run(done.path).status != "finished"
    again = resume(done.path, **QUIETLY)
    assert sorted((r["trial"], r["epoch"], str(r["metrics"])) for r in again.records.epochs) == rows


def test_a_run_is_extended_in_a_part_of_its_space(here):
    done = run(keys(), **QUIETLY)
    longer = extend(done.path, ["search_space.x=uniform(0, 1)"], num_samples="+3", **QUIETLY)
    assert all(0 <= trial.hyperparameters["x"] <= 1 for trial in longer.records.trials[8:])
    assert len(longer.records.trials) == 11


def test_an_objective_whose_space_is_another_by_now_is_not_resumed(here):
    (here / "high.txt").write_text("4")
    done = run(keys("follows_a_file"), **QUIETLY)
    events = (done.path / "events.jsonl").read_text().splitlines(keepends=True)
    (done.path / "events.jsonl").write_text(events[0])
    (here / "high.txt").write_text("5")
    with pytest.raises(
        ExperimentFileError, match=r"x of trial .*: uniform\(0, 4\) -> uniform\(0, 5\)"
    ):
        resume(done.path, **QUIETLY)


def test_an_objective_that_asks_for_more_by_now_is_not_resumed(here, monkeypatch):
    monkeypatch.setenv("DEPTH", "1")
    done = run(keys("follows_the_surroundings"), **QUIETLY)
    events = (done.path / "events.jsonl").read_text().splitlines(keepends=True)
    (done.path / "events.jsonl").write_text(events[0])
    monkeypatch.setenv("DEPTH", "2")
    with pytest.raises(
        ExperimentFileError, match=r"the search space that was found .*: x1: nothing -> uniform"
    ):
        resume(done.path, **QUIETLY)
