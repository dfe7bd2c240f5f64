"""The commands of docs/what-mattered.md, run as they stand."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.pages import EACH_EXECUTOR, run_page

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs_and_alpha_mattered_most_and_is_to_be_widened(tmp_path, inline):
    ran = run_page("what-mattered.md", tmp_path, inline=inline)
    assert pd.read_csv(tmp_path / "importance.csv")["hyperparameter"][0] == "learning_rate"
    findings = json.loads((tmp_path / "findings.json").read_text())["findings"]
    assert "learning_rate" in [each["evidence"].get("hyperparameter") for each in findings]
    assert max(map(len, ran.stdout.splitlines())) <= 80
