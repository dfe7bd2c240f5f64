"""No test installs a Debian package unless ORCHESTRATOR_TEST_INSTALL=1 asks for it."""

from __future__ import annotations

import pytest

from tests import debian

MISSING = {"no-such-program": "its-package", "sh": "dash"}


@pytest.fixture(autouse=True)
def commands(monkeypatch) -> list[object]:
    """The commands that would have been run."""
    run: list[object] = []
    monkeypatch.setattr(debian.subprocess, "run", lambda command, **_: run.append(command))
    return run


@pytest.mark.parametrize("value", ["", "0"])
def test_what_is_missing_is_named_with_the_variable_and_not_installed(monkeypatch, commands, value):
    monkeypatch.setenv(debian.INSTALL, value)
    reason = debian.why_not(MISSING)
    assert (commands, reason.startswith("needs its-package:")) == ([], True)
    assert "ORCHESTRATOR_TEST_INSTALL=1" in reason


def test_nothing_is_asked_for_where_everything_is_there(monkeypatch, commands):
    monkeypatch.setenv(debian.INSTALL, "1")
    assert (debian.why_not({"sh": "dash"}), commands) == (None, [])
