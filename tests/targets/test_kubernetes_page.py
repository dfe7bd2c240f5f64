"""docs/targets/kubernetes.md: what needs no cluster is run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator.targets.kuberay import NATIVE
from tests.deployment.validators import ROOT, faults

PAGE = (ROOT / "docs/targets/kubernetes.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```yaml\n(.*?)\n```", PAGE, re.DOTALL))
BLOCKS = re.findall(r"<!-- run: dry -->\n```console\n(.*?)\n```", PAGE, re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines()]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_the_page_prints_is_taken_by_a_strict_server(command: str, tmp_path: Path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    arguments = command.removeprefix("orchestrator ").split()
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        capture_output=True, text=True, cwd=tmp_path, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    manifests = list(yaml.safe_load_all(ended.stdout))
    assert [each["kind"] for each in manifests] == ["ConfigMap", "RayJob"]
    assert faults(manifests) == []


def test_every_word_of_kuberay_s_is_on_the_page():
    assert [word for word in NATIVE if word not in PAGE] == []
