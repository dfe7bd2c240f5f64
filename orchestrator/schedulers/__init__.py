"""Schedulers: which trials go on. Pure Python, fed epochs, rebuilt from records.

To add one: a module here with its options, a class of ``SchedulerOptions``, and a line in ``SCHEDULERS``. How a file
writes it, ``--set``, the JSON Schema, what is refused and ``preview`` follow from its options.
"""

from orchestrator.schedulers.asha import AshaOptions
from orchestrator.schedulers.hyperband import HyperbandOptions
from orchestrator.schedulers.median import MedianOptions, PercentileOptions
from orchestrator.schedulers.pasha import PashaOptions
from orchestrator.schedulers.patient import PatientOptions
from orchestrator.schedulers.pbt import PbtOptions
from orchestrator.schedulers.scheduler import (
    Decision,
    Forecast,
    NoSchedulerOptions,
    PassedBefore,
    Rung,
    Scheduler,
    SchedulerMaker,
    SchedulerOptions,
)

__all__ = [
    "SCHEDULERS",
    "AshaOptions",
    "Decision",
    "Forecast",
    "HyperbandOptions",
    "MedianOptions",
    "NoSchedulerOptions",
    "PashaOptions",
    "PassedBefore",
    "PatientOptions",
    "PbtOptions",
    "PercentileOptions",
    "Rung",
    "Scheduler",
    "SchedulerMaker",
    "SchedulerOptions",
    "make_scheduler",
]

SCHEDULERS: dict[str, type[SchedulerOptions]] = {
    "none": NoSchedulerOptions,
    "asha": AshaOptions,
    "pasha": PashaOptions,
    "hyperband": HyperbandOptions,
    "median": MedianOptions,
    "percentile": PercentileOptions,
    "patient": PatientOptions,
    "pbt": PbtOptions,
}


def make_scheduler(options: SchedulerMaker, epochs: int, mode: str) -> Scheduler:
    """Return the scheduler that ``options`` describe, for trials of ``epochs`` epochs."""
    return options.make(epochs, mode)
