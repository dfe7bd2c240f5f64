"""docs/your-own-searcher.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import pytest

from orchestrator.domains import Space
from orchestrator.records import read_run
from tests.pages import EACH_EXECUTOR, run_page


@pytest.mark.integration
@EACH_EXECUTOR
def test_what_the_page_runs_is_proposed_by_its_searcher(tmp_path, inline):
    run_page("your-own-searcher.md", tmp_path, inline=inline)
    climb = read_run(tmp_path / "runs" / "climb")
    assert len(climb.trials) == 6 and climb.status == "finished"
    assert set(climb.manifest["searcher"]["files"]) == {"climb.py"}
    space = climb.experiment["search_space"]
    drawn = [Space.parse(space).draw(0, trial.index) for trial in climb.trials]
    proposed = [dict(trial.hyperparameters) for trial in climb.trials]
    told = {trial.index: pair for trial, *pair in zip(climb.trials, drawn, proposed, strict=True)}
    assert all(told[index][0] == told[index][1] for index in (0, 1)), "the first two are drawn"
    assert told[5][0] != told[5][1], "the last one is a step: others have reported by then"
