"""The commands of docs/use-the-winner.md, run as they stand."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pandas as pd
import pytest

from tests.pages import EACH_EXECUTOR, environment, lay_out

pytestmark = pytest.mark.integration


@EACH_EXECUTOR
def test_the_page_runs(tmp_path, inline):
    script = lay_out("use-the-winner.md", tmp_path, inline=inline)
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n'
    script.write_text(python + script.read_text(encoding="utf-8"), encoding="utf-8")
    ran = subprocess.run(
        ["bash", str(script)], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert ran.returncode == 0, ran.stderr
    answers = pd.read_csv(tmp_path / "answers.csv")
    assert answers["class"].tolist() == ["thistle", "dock"]
    assert "['thistle', 'dock']" in ran.stdout
    assert "Net, a class with arguments and without get_config" in ran.stderr
    assert (tmp_path / "plants.weights.h5").is_file()
    assert "It takes a dict of the columns height, leaf, soil" in " ".join(ran.stdout.split())
