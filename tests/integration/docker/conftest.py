from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.docker.engine import Engine, running_engine, why_not


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with running_engine() as engine:
        yield engine
