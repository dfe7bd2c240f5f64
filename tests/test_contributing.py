"""What CONTRIBUTING.md says of the layout is so."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
TREE = re.search(r"^```\n(orchestrator/ .*?)\n```$", PAGE, re.DOTALL | re.MULTILINE)[1]


def test_every_path_in_the_tree_is_there():
    parent = Path()
    for line in TREE.splitlines():
        name = line.split()[0]
        inside = line.startswith("  ")
        parent = parent if inside else Path(name)
        assert (ROOT / (parent / name if inside else name)).exists(), name


def test_every_room_of_the_package_is_in_the_tree():
    rooms = {path.parent.name for path in (ROOT / "orchestrator").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"^  (\w+)/", TREE, re.MULTILINE))


def test_every_word_that_it_tells_to_type_is_one_of_makes():
    known = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)", PAGE)) <= known
