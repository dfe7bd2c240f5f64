"""The commands of docs/tasks-and-metrics.md, run as they stand."""

from __future__ import annotations

import pytest

from orchestrator.records import read_run
from tests.pages import EACH_EXECUTOR, run_page, shown_output

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs(tmp_path, inline):
    ran = run_page("tasks-and-metrics.md", tmp_path, inline=inline)
    assert "; val_doubt, min;" in " ".join(ran.stdout.split())
    progress, by_name = (read_run(tmp_path / "runs" / name) for name in ("progress", "by_name"))
    assert (progress.metric, progress.mode, by_name.mode) == ("val_mae", "min", "max")
    assert {trial.status for trial in (*progress.trials, *by_name.trials)} <= {
        "finished",
        "stopped",
    }
    for line in shown_output("tasks-and-metrics.md", "regression"):
        assert line in ran.stdout
    assert {"loss", "mae", "r2", "rmse"} == {*progress.winner["test"]}
    assert {"val_macro_f1", "val_auc", "val_top_3_accuracy"} < {*by_name.epochs[0]["metrics"]}
    assert {"macro_f1", "auc"} < {*by_name.winner["test"]}
