"""An experiment from its file to its table."""

from orchestrator.experiment.flow import extend, resume, run
from orchestrator.experiment.prepared import Prepared, prepare
from orchestrator.experiment.preview import preview
from orchestrator.experiment.repeating import changed_since
from orchestrator.experiment.run import Run, open_run

__all__ = [
    "Prepared",
    "Run",
    "changed_since",
    "extend",
    "open_run",
    "prepare",
    "preview",
    "resume",
    "run",
]
