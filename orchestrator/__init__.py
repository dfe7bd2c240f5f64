"""Hyperparameter tuning for Keras on Ray Tune: caviar or panda, from one file.

>>> import orchestrator
>>> run = orchestrator.run("digits.yaml")  # doctest: +SKIP
>>> run = orchestrator.run(model=build, data=(x, y), search_space={...})  # doctest: +SKIP
>>> run.table(), run.best, run.load_model()  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.config import Experiment
    from orchestrator.errors import OrchestratorError

    # From where they are defined: in a room's face mypy may take run, resume, audit and preview for modules.
    from orchestrator.experiment.audit import audit
    from orchestrator.experiment.flow import extend, resume, retry, run, verify
    from orchestrator.experiment.preview import preview
    from orchestrator.experiment.reevaluation import reevaluate
    from orchestrator.experiment.run import Run, open_run
    from orchestrator.experiment.simulation import simulate, whatif
    from orchestrator.tuning.tune_space import to_tune_space

    __version__: str

__all__ = [
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

_HOMES = {
    "Experiment": "orchestrator.config",
    "OrchestratorError": "orchestrator.errors",
    "Run": "orchestrator.experiment",
    "audit": "orchestrator.experiment",
    "extend": "orchestrator.experiment",
    "open_run": "orchestrator.experiment",
    "preview": "orchestrator.experiment",
    "reevaluate": "orchestrator.experiment",
    "resume": "orchestrator.experiment",
    "retry": "orchestrator.experiment",
    "run": "orchestrator.experiment",
    "simulate": "orchestrator.experiment",
    "to_tune_space": "orchestrator.tuning.tune_space",
    "verify": "orchestrator.experiment",
    "whatif": "orchestrator.experiment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``--help`` answers at once."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        from orchestrator.errors import near_miss

        raise AttributeError(
            f"module 'orchestrator' has no attribute {name!r}.{near_miss(name, __all__)}"
        )
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return what the package offers, whether it was used already or not."""
    return [*__all__, "__version__"]


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("orchestrator")
    except metadata.PackageNotFoundError:
        return "0+sources"
