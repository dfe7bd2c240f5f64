"""``simulate`` and ``whatif`` from Python: a real run's records replayed, and what cannot be asked."""

from __future__ import annotations

import pytest

import orchestrator
from orchestrator.errors import DataError, ExperimentFileError, RecordError

SPACE = {"x": "uniform(0, 1)", "y": "choice([1, 2])"}


def train(hp, report):
    """Report a curve that falls towards a floor set by x."""
    for epoch in range(1, 10):
        report(epoch, val_loss=(hp["x"] - 0.3) ** 2 + hp["y"] / epoch)


@pytest.fixture(scope="module", params=[True, False], ids=["promote", "stop"])
def run(request, tmp_path_factory):
    return orchestrator.run(
        name="curves",
        trial=train,
        search_space=SPACE,
        metric="val_loss",
        epochs=9,
        caviar={"num_samples": 16, "scheduler": {"asha": {"promote": request.param}}},
        storage_path=str(tmp_path_factory.mktemp("runs")),
        executor="inline",
    )


def ends(trials, epochs):
    return {each.trial: (each.status, epochs(each)) for each in trials}


def test_one_worker_decides_as_the_run_did(run):
    found = orchestrator.whatif(run, ["caviar.scheduler.asha.reduction_factor=4"])
    recorded = ends(run.records.trials, lambda trial: len(run.records.of(trial.trial).own_epochs))
    assert ends(found.runs[0].trials, lambda trial: trial.epochs) == recorded
    assert {status for status, _ in recorded.values()} == {"finished", "stopped"}


def test_what_would_have_gone_on_beyond_the_records_is_counted_and_not_guessed(run):
    found = orchestrator.whatif(run, ["caviar.scheduler=none"])
    stopped = [each for each in run.records.trials if each.ending == "stopped"]
    assert found.changed.unknown == len(stopped) > 0
    missing = sum(9 - len(run.records.of(each.trial).own_epochs) for each in stopped)
    assert found.changed.epochs_unknown == missing
    assert found.recorded.unknown == 0 and found.same_trials == found.trials == 16


def test_trials_that_the_run_never_had_are_left_out_and_counted(run):
    assert orchestrator.whatif(run, ["caviar.num_samples=20"]).without_records == 4


def test_a_run_exports_curves_that_simulate_reads(run, tmp_path):
    file = tmp_path / "curves.csv"
    run.curves().to_csv(file, index=False)
    whole = {"trial": train, "search_space": SPACE, "metric": "val_loss"}
    experiment = {"name": "again", "model": "mlp", "data": "digits", **whole, "epochs": 1}
    del experiment["trial"]
    found = orchestrator.simulate(experiment, table=file, workers=2, seeds=3)
    assert len(found.runs) == 3 and len(found.summary.table) == 16
    assert repr(found).startswith("Simulation of again")
    with pytest.raises(DataError, match="expected 9 epochs of each configuration"):
        orchestrator.simulate({**experiment, "epochs": 9}, table=file)


def test_what_no_table_can_tell_is_refused(run):
    with pytest.raises(ExperimentFileError, match="--set: expected at least one change"):
        orchestrator.whatif(run)
    with pytest.raises(ExperimentFileError, match="search_space: expected the run's own"):
        orchestrator.whatif(run, ["search_space.x=uniform(0, 2)"])
    with pytest.raises(ExperimentFileError, match="workers: expected a whole number from 1 on"):
        orchestrator.whatif(run, ["caviar.num_samples=4"], workers=0)
    with pytest.raises(ExperimentFileError, match="worker: unknown option of a simulation"):
        orchestrator.whatif(run, ["caviar.num_samples=4"], worker=2)
    panda = {"model": "mlp", "data": "digits", "strategy": "panda", "panda": {"start": {}}}
    with pytest.raises((ExperimentFileError, RecordError)):
        orchestrator.simulate(panda, table={"epoch": [1]})
