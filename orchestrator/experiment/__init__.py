"""An experiment from its file to its table."""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.experiment.audit import audit
    from orchestrator.experiment.config_drift import changed_since
    from orchestrator.experiment.flow import extend, resume, retry, run, verify
    from orchestrator.experiment.prepared import Prepared, prepare
    from orchestrator.experiment.preview import preview
    from orchestrator.experiment.reevaluation import Reevaluation, reevaluate
    from orchestrator.experiment.run import Run, open_run
    from orchestrator.experiment.simulation import simulate, whatif
    from orchestrator.experiment.starting_file import write_starting_file

__all__ = [
    "Prepared",
    "Reevaluation",
    "Run",
    "audit",
    "changed_since",
    "extend",
    "open_run",
    "prepare",
    "preview",
    "reevaluate",
    "resume",
    "retry",
    "run",
    "simulate",
    "verify",
    "whatif",
    "write_starting_file",
]

load_when_used(__name__)
