"""Programs as trials, in a folder of the test's own."""

from __future__ import annotations

import pytest

from orchestrator.trials.command import CommandJob, Template
from orchestrator.trials.printed_reports import Format


@pytest.fixture
def opened(tmp_path):
    workbenches = []

    def of(*words, **changes):
        if len(words) == 1:  # a script of sh
            (tmp_path / "mine.sh").write_text(words[0])
            words = ("sh", "mine.sh", "{rate}", "{text}")
        about = {"epochs": 5, "metric": "val_loss", "mode": "min", "grace": 0.3} | changes
        about = {"format": Format(), "command": Template(words), **about}
        whose = {"kind": "command", "text": "./mine", "home": tmp_path, "folder": tmp_path}
        workbenches.append(CommandJob(**whose, **about).open())
        return workbenches[-1]

    yield of
    for workbench in workbenches:
        workbench.leave()
