"""What ``import orchestrator`` offers is a promise: adding to it or taking from it is meant."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

import orchestrator


def test_the_public_names_are_these():
    promised = [
        "Experiment",
        "OrchestratorError",
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


def test_completion_shows_them_and_the_version_before_any_is_used():
    code = "import orchestrator; print(*dir(orchestrator))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == sorted([*orchestrator.__all__, "__version__"])


def test_the_version_is_that_of_the_installed_package():
    assert orchestrator.__version__ == metadata.version("orchestrator")


def test_a_name_that_is_nearly_one_is_told():
    with pytest.raises(AttributeError, match="Did you mean 'preview'"):
        orchestrator.preveiw  # noqa: B018
