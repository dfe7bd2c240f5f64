"""The commands of docs/when-data-change.md, run as they stand."""

from __future__ import annotations

import subprocess

import pytest

from tests.pages import EACH_EXECUTOR, environment, lay_out

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs(tmp_path, inline):
    script = lay_out("when-data-change.md", tmp_path, inline=inline)
    ran = subprocess.run(
        ["bash", str(script)], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert ran.returncode == 0, ran.stderr
    said = " ".join(ran.stdout.split())
    assert "Decision: " in said
    assert "noisier" in said
    assert "The old model: accuracy" in said
    assert (tmp_path / "runs/wine/reevaluations/001/incumbent/best/model.keras").is_file()
