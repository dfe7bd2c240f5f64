"""One rule for the best, wherever it is kept: in records, by the driver, its heartbeat, views and schedulers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.records import RunFolder, TrialEnd, read_run
from orchestrator.report.live.progress import Progress
from orchestrator.report.tables import trials_table
from tests.experiment.told import Told
from tests.report.driven import Driven

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
    progress = Progress(len(trials), 3, told.metric, mode)
    driven = Driven(progress)
    for spec, (epochs, parameters) in zip(told.plan.draws(), trials, strict=False):
        told.recorder.started(spec)
        driven.trial_started(spec.trial, {}, spec.index)
        for row in rows_of(spec.trial, epochs, parameters, told.metric):
            told.recorder.epochs([row])
            driven.epoch(row)
        (told.folder.checkpoints / f"{spec.trial}.npz").write_bytes(b"state")
        told.recorder.ended(TrialEnd(spec.trial, "finished", 1.0), None)
    told.recorder.close()
    told.recorder.__exit__()
    records = read_run(told.folder.path)
    best = records.ranked[0].trial
    score = records.of(best).best
    assert told.recorder.verdict().checkpoint.stem == best == trials_table(records)["trial"][0]
    for state in (told.recorder.state, records.state):
        assert (state.leader, state.score_of(best)) == (best, score)
        assert [trial.trial for trial in state.ranked] == [t.trial for t in records.ranked]
    assert (progress.best.trial, progress.best.epoch) == (best, score.epoch)
    told.again()
    assert told.recorder.state.leader == best
