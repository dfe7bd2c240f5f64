"""When a command's process looks for garbage: it ends at once, but with what a trial's code left open written."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.__main__ import main

PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print("FROZEN", gc.get_freeze_count() > 0))
from orchestrator.__main__ import main
{before}
sys.argv = ["orchestrator", "version"]
main()
"""
LEFT_OPEN = """
import orchestrator.tuning.inline
class Left: pass
left = Left()
left.itself, left.file = left, open("left.txt", "w")
left.file.write("the last words")
"""


@pytest.mark.parametrize(("before", "frozen"), [("", True), (LEFT_OPEN, False)])
def test_objects_are_taken_down_one_by_one_only_where_trials_ran(tmp_path, before, frozen):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PROGRAM.format(before=before)]
    answer = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    assert answer.stdout.splitlines()[-1] == f"FROZEN {frozen}"
    if before:
        assert (tmp_path / "left.txt").read_text() == "the last words"


@pytest.mark.parametrize(("command", "collects"), [("table", False), ("run", True)])
def test_the_collector_rests_in_commands_that_are_over_at_once(monkeypatch, command, collects):
    found = []
    monkeypatch.setattr("orchestrator.__main__.app", lambda **_: found.append(gc.isenabled()))
    monkeypatch.setattr(sys, "argv", ["orchestrator", command])
    with pytest.raises(SystemExit):
        main()
    assert found == [collects] and gc.isenabled()
