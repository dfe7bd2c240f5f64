"""docs/is-it-really-better.md: its files are written and its commands run; the table that it shows is theirs."""

from __future__ import annotations

from orchestrator.records import read_run
from tests.pages import run_page


def test_on_the_page_the_first_row_of_the_search_is_not_the_winner(tmp_path):
    done = run_page("is-it-really-better.md", tmp_path, OMP_NUM_THREADS="1")
    run = read_run(tmp_path / "runs" / "cells")
    raced = run.state.race_result
    assert run.state.race["finalists"][0] == "00008" and raced["winner"] != "00008"
    assert run.winner["trial"].startswith(f"{raced['winner']}-r")
    assert "-r1" in done.stdout
