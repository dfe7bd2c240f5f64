"""What need not wait for Ray, TensorFlow or pandas does not import them."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("ray", "tensorflow", "keras", "pandas", "pyarrow", "sklearn", "mlxtend", "optuna")
LIGHT = (
    "orchestrator",
    "orchestrator.analysis",
    "orchestrator.catalog",
    "orchestrator.cli",
    "orchestrator.config",
    "orchestrator.data",
    "orchestrator.domains",
    "orchestrator.errors",
    "orchestrator.experiment",
    "orchestrator.records",
    "orchestrator.report",
    "orchestrator.schedulers",
    "orchestrator.search",
    "orchestrator.searchers",
    "orchestrator.sitter",
    "orchestrator.targets",
    "orchestrator.training",
    "orchestrator.trials",
)


@pytest.mark.parametrize("module", LIGHT)
def test_importing_a_room_loads_nothing_heavy(module):
    program = f"import sys, {module}; print(*sorted(sys.modules.keys() & set({HEAVY!r})))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (answer.returncode, answer.stdout.strip()) == (0, ""), answer.stderr


def test_doctor_waits_for_nothing_that_it_does_not_look_at():
    program = "import sys, orchestrator.tuning.doctor; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    assert not {*HEAVY, "orchestrator.experiment"} & set(loaded.stdout.split())
