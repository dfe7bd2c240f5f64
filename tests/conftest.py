from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No deadline: on a busy machine it fails without a fault. Derandomized: a red run can be repeated.
settings.register_profile("here", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("here")

HERE = Path(__file__).parent
SHARED_BY_A_FOLDER = ("tests/integration/docker/",)
"""Folders whose files share one costly thing, such as an engine: they stay together."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with those that mostly wait for others to start, so that none of them comes last."""
    for item in items:
        if HERE / "integration" in item.path.parents:
            item.add_marker(pytest.mark.integration)
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``pytest -n 2`` a file's tests stay in one process (xdist 3.8 does not see groups under pytest 9.2)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in SHARED_BY_A_FOLDER if folder in file), file)

    return ByFile(config, log)
