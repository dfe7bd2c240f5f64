"""The commands of docs/when-data-change.md, run as they stand."""

from __future__ import annotations

import pytest

from tests.pages import EACH_EXECUTOR, run_page

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs(tmp_path, inline):
    ran = run_page("when-data-change.md", tmp_path, inline=inline)
    said = " ".join(ran.stdout.split())
    assert "Decision: " in said
    assert "noisier" in said
    assert "The old model: accuracy" in said
    assert (tmp_path / "runs/wine/reevaluations/001/incumbent/best/model.keras").is_file()
