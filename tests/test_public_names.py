"""What ``import orchestrator`` offers is a promise: adding to it or taking from it is meant."""

from __future__ import annotations

import orchestrator


def test_the_public_names_are_these():
    promised = [
        "Experiment",
        "Run",
        "audit",
        "extend",
        "open_run",
        "preview",
        "reevaluate",
        "resume",
        "retry",
        "run",
        "simulate",
        "to_tune_space",
        "verify",
        "whatif",
    ]
    assert orchestrator.__all__ == promised


def test_every_public_name_is_there():
    assert all(getattr(orchestrator, name).__name__ == name for name in orchestrator.__all__)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(orchestrator, "tune")
