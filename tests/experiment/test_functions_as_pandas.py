"""A run with one function that is babysat: planned, refused, changed by schedule, cut off, extended, promoted."""

from __future__ import annotations

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.experiment import extend, preview, resume, run
from orchestrator.experiment.warm_start import promoted
from tests.experiment.inline import InlineTuner

MINE = """
def train(hp, report):
    found = report.checkpoint.load()
    at = float((found / "at").read_text()) if found else 100.0
    for epoch in range(report.checkpoint.epoch + 1, 99):
        with open("trained.txt", "a") as file:
            print(epoch, file=file)
        at -= hp["learning_rate"]
        with report.checkpoint.save(epoch) as folder:
            (folder / "at").write_text(str(at))
        report(epoch, val_loss=at)

def forgets(hp, report):
    for epoch in range(1, 99):
        report(epoch, val_loss=1 / epoch)
"""
PANDA = {
    "name": "fn", "trial": "./mine.py:train", "metric": "val_loss", "strategy": "panda",
    "panda": {"start": {"learning_rate": 1.0}, "day": "2 epochs", "days": 3, "sitter": "advise",
              "schedule": [{"epoch": 4, "set": {"learning_rate": 10.0}}]},
}  # fmt: skip
CAVIAR = {
    "name": "many", "trial": "./mine.py:train", "metric": "val_loss", "epochs": 4,
    "search_space": {"learning_rate": "uniform(1, 2)"},
    "caviar": {"num_samples": 2, "scheduler": "none"},
}  # fmt: skip
QUIETLY = {"executor": "inline", "progress": False}
VALUES = [99.0, 98.0, 97.0, 96.0, 86.0, 76.0]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def values(done):
    return [row["metrics"]["val_loss"] for row in done.records.epochs]


def test_it_lives_its_days_and_its_best_state_is_the_winners(here):
    done = run(PANDA, **QUIETLY)
    assert done.status == "finished" and values(done) == VALUES
    assert [entry["day"] for entry in done.records.journal if entry["kind"] == "day"] == [1, 2, 3]
    assert float((done.path / "best" / "checkpoint" / "at").read_text()) == 76.0


def test_it_goes_on_where_it_was_cut_off_and_for_more_days(here):
    tuner = InlineTuner()
    tuner.most = 5
    cut = run(PANDA, executor=tuner, progress=False)
    assert cut.status == "interrupted"
    assert values(resume(cut.path, **QUIETLY)) == VALUES
    longer = extend("fn", days="+1", **QUIETLY)
    assert values(longer) == [*VALUES, 66.0, 56.0]
    assert (here / "trained.txt").read_text().split() == [str(epoch) for epoch in range(1, 9)]


def test_a_panda_is_made_of_the_best_of_many(here):
    many = run(CAVIAR, **QUIETLY)
    keys = promoted("many", "runs")
    done = run({**keys, "name": "one"}, **QUIETLY)
    best = many.best
    rate = best.hyperparameters["learning_rate"]
    assert values(done)[0] == pytest.approx(best.value - rate)
    assert [row["epoch"] for row in done.records.epochs][:2] == [1, 2]


def test_none_is_made_of_one_that_saved_no_state(here):
    run({**CAVIAR, "trial": "./mine.py:forgets"}, **QUIETLY)
    with pytest.raises(OrchestratorError, match="a trial that saved a state in its best epoch"):
        preview({**promoted("many", "runs"), "name": "one"})


@pytest.mark.parametrize(
    ("panda", "said"),
    [
        ({"day": "100 steps"}, "panda.day: expected none beside trial, whose function reports epochs"),
        ({"learning_rate_test": True}, "panda.learning_rate_test: expected none beside trial"),
        ({"sitter": {"branch_and_compare": "on"}}, "panda.sitter.branch_and_compare: expected none"),
        ({"schedule": [{"epoch": 1, "set": {"units": 3}}]}, "panda.schedule, epoch 1: expected a hyperp"),
    ],
)  # fmt: skip
def test_what_a_function_cannot_be_asked_is_refused_before_anything_starts(here, panda, said):
    with pytest.raises(OrchestratorError) as caught:
        preview({**PANDA, "panda": {**PANDA["panda"], **panda}})
    assert said in str(caught.value) and not (here / "runs").exists()


def test_preview_says_what_is_planned():
    said = repr(preview(PANDA))
    assert "a call of ./mine.py:train" in said and "at most 6 epochs" in said
