from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# No deadline: on a busy machine it fails without a fault. Derandomized: a red run can be repeated.
settings.register_profile("here", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("here")

HERE = Path(__file__).parent
SHARED_BY_A_FOLDER = ("integration/docker",)
"""Folders whose files share one costly thing, such as an engine: they stay together."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under ``pytest -n 3`` a file's tests stay in one process; those that mostly wait for others begin first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path)))
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


def _group(file: Path) -> str:
    folder = file.parent.relative_to(HERE).as_posix()
    return folder if folder in SHARED_BY_A_FOLDER else file.relative_to(HERE).as_posix()
