"""The pages on code of other tuners and scikit-learn: their files are written as they stand, and their commands run."""

from __future__ import annotations

import pytest

from orchestrator.records import read_run
from tests.pages import run_page


@pytest.mark.parametrize(
    ("page", "name", "trials", "least"),
    [
        ("from-optuna.md", "moved", 24, 0.9),
        ("from-ray-tune.md", "moved", 8, 0.8),
        ("scikit-learn.md", "pipe", 4, 0.8),
        pytest.param("from-keras-tuner.md", "moved", 3, 0.2, marks=pytest.mark.cluster),
    ],
)
def test_what_a_page_moves_over_is_tuned(tmp_path, page, name, trials, least):
    run_page(page, tmp_path)
    run = read_run(tmp_path / "runs" / name)
    assert run.status == "finished" and len(run.trials) == trials
    assert run.winner["validation"]["accuracy"] > least
