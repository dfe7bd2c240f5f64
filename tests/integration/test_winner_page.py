"""The commands of docs/use-the-winner.md, run as they stand."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.pages import EACH_EXECUTOR, run_page

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs(tmp_path, inline):
    ran = run_page("use-the-winner.md", tmp_path, inline=inline)
    answers = pd.read_csv(tmp_path / "answers.csv")
    assert answers["class"].tolist() == ["thistle", "dock"]
    assert "['thistle', 'dock']" in ran.stdout
    assert "Net, a class with arguments and without get_config" in ran.stderr
    assert (tmp_path / "plants.weights.h5").is_file()
    assert "It takes a dict of the columns height, leaf, soil" in " ".join(ran.stdout.split())
