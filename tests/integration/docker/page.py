"""The commands of docs/targets/docker.md."""

from __future__ import annotations

import re

from tests.integration.docker.engine import ROOT

PAGE = (ROOT / "docs/targets/docker.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"<!-- run: docker -->\n```console\n(.*?)\n```", PAGE, re.DOTALL)
COMMANDS = [line[2:] for block in _BLOCKS for line in block.splitlines() if line.startswith("$ ")]
