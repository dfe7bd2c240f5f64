"""docs/your-own-data.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import pytest

from tests.pages import EACH_EXECUTOR, ROOT, run_page

PAGE = (ROOT / "docs" / "your-own-data.md").read_text(encoding="utf-8")


@pytest.mark.integration
@EACH_EXECUTOR
def test_what_the_page_runs_runs(tmp_path, inline):
    done = run_page("your-own-data.md", tmp_path, inline=inline)
    assert {run.name for run in (tmp_path / "runs").iterdir()} >= {
        "weather", "frame", "one", "stream", "kept",
    }  # fmt: skip
    assert "gaps were filled by data.missing: 2 in column 'wind'" in done.stderr


@pytest.mark.parametrize(
    "key", ["drop", "missing", "columns", "decimal", "header", "sample_weight"]
)
def test_every_key_of_a_table_is_explained(key):
    assert f"data.{key}" in PAGE or f"  {key}:" in PAGE
