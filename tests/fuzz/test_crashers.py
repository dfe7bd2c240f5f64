"""What once made the record reader or the space parser fall over does not any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, ask_everything, records, spaces

CRASHERS = sorted((Path(__file__).parent / "crashers").glob("*/*"))


@pytest.mark.parametrize("file", CRASHERS, ids=lambda file: f"{file.parent.name}-{file.name[:20]}")
def test_a_crasher_is_refused_or_read(file, tmp_path):
    TARGETS[file.parent.name](file.read_bytes(), tmp_path / "run")


def test_the_seeds_are_whole(tmp_path):
    whole, *_ = seeds.records(tmp_path)
    ask_everything(tmp_path / "one")
    records(whole, tmp_path / "run")
    ask_everything(tmp_path / "run")
    for content in seeds.spaces():
        spaces(content, tmp_path)
