"""What docs/ARCHITECTURE.md names is there, row by row; CONTRIBUTING.md's layout is tests/test_contributing.py's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
MOST_FILES = 20
PLACES = (ROOT / "orchestrator", ROOT)
NOT_HERE = re.compile(r"^(runs/|checkpoints/|logs/|best/|\./|orchestrator/bundled|run/$)")
"""Files of a run, of a user, or of the installed package."""


def rows(heading: str) -> list[str]:
    """Return the rows of the first table below a heading."""
    after = PAGE.partition(f"## {heading}")[2].partition("\n## ")[0]
    return [line for line in after.splitlines() if line.startswith("| ")][1:]


def files_in(text: str) -> list[str]:
    """Return the files and folders that a text names; of ``<name>`` each."""
    told = re.findall(r"`([\w./<>-]+(?:\.py|\.yaml|/))`", text)
    return [name for name in told if "/" in name and not NOT_HERE.match(name)]


def found(name: str) -> list[Path]:
    pattern = re.sub(r"<\w+>", "*", name).rstrip("/")
    return [file for place in PLACES for file in place.glob(pattern)]


ADDED = {row.split("|")[1].strip(): row.split("|")[2] for row in rows("Where to add things")}


@pytest.mark.parametrize("what", ADDED)
def test_where_to_add_something_is_there(what):
    assert [name for name in files_in(ADDED[what]) if not found(name)] == []


@pytest.mark.parametrize(
    "what", [what for what, where in ADDED.items() if re.search("`[A-Z]{2}", where)]
)
def test_the_table_that_gets_a_line_is_in_one_of_the_files(what):
    where = ADDED[what]
    sources = [
        file.read_text(encoding="utf-8")
        for name in files_in(where)
        for each in found(name)
        for file in ([each] if each.is_file() else each.glob("*.py"))
    ]
    for table in re.findall(r"`([A-Z_]{3,})`", where):
        assert any(re.search(rf"^{table}\b.*=", text, re.MULTILINE) for text in sources), table


def test_every_file_on_the_page_is_there():
    assert [name for name in files_in(PAGE) if not found(name)] == []


def test_the_way_of_a_hyperparameter_is_at_most_20_files_long():
    way = [name for row in rows("One hyperparameter") for name in files_in(row)]
    assert way
    assert len(way) <= MOST_FILES
    assert [name for name in way if not found(name)] == []
