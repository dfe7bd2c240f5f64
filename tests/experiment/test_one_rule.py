"""One rule for the best, wherever it is kept: in records, by the driver, its heartbeat, views and schedulers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.experiment.leaders import Leaders
from orchestrator.records import RunFolder, Tally, TrialEnd, read_run
from orchestrator.report.progress import Progress
from orchestrator.report.tables import trials_table
from tests.experiment.told import Told

FEW_VALUES = st.sampled_from([0.5, 0.7])
EPOCHS = st.lists(st.tuples(FEW_VALUES, FEW_VALUES), min_size=1, max_size=3)
TRIALS = st.lists(st.tuples(EPOCHS, st.sampled_from([10, 20])), min_size=1, max_size=6)


def rows_of(trial, epochs, parameters, metric):
    for epoch, (value, loss) in enumerate(epochs, start=1):
        metrics = {"loss": 1.0, "val_loss": loss, metric: value}
        yield {
            "trial": trial,
            "epoch": epoch,
            "metrics": metrics,
            "parameters": parameters,
            "seconds": 0.1,
        }


@pytest.mark.parametrize("mode", ["max", "min"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(trials=TRIALS)
def test_everyone_has_the_same_best_and_so_has_the_next_driver(mode, trials, tmp_path_factory):
    told = Told(RunFolder.create(tmp_path_factory.mktemp("runs"), "run"), 1, mode, {})
    tally, progress = Tally(), Progress(len(trials), 3, told.metric, mode)
    tally.begin(told.metric, mode, [spec.trial for spec in told.plan.trials])
    for spec, (epochs, parameters) in zip(told.plan.trials, trials, strict=False):
        told.recorder.started(spec)
        for row in rows_of(spec.trial, epochs, parameters, told.metric):
            for keeper in (told.recorder.epochs, tally.epochs):
                keeper([row])
            progress.epoch(row)
        (told.folder.checkpoints / f"{spec.trial}.npz").write_bytes(b"state")
        told.recorder.ended(TrialEnd(spec.trial, "finished", 1.0), None)
    told.recorder.close()
    told.recorder.__exit__()
    records = read_run(told.folder.path)
    best = records.ranked[0].trial
    score = records.score_of(best)
    assert told.recorder.verdict().checkpoint.stem == best == trials_table(records)["trial"][0]
    assert (tally.pulse.best_trial, tally.pulse.best) == (best, score.value)
    assert (progress.best.trial, progress.best.epoch) == (best, score.epoch)
    again = Leaders(told.folder, told.plan)
    again.remember(records)
    assert again.best[best] == score
    later = Tally()
    later.begin(told.metric, mode, [], records)
    assert later.pulse.best_trial == best
