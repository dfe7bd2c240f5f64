"""What happened in a run, as plain files: the truth that everything else is rebuilt from.

One writer (the driver) appends JSON lines; any number of readers rebuild values from them.
This room imports neither Ray, TensorFlow nor pandas.
"""

from orchestrator.records.best import Mode, best_epoch, is_better
from orchestrator.records.folder import RunFolder, run_names
from orchestrator.records.lines import JsonLines, TornLineWarning, read_lines
from orchestrator.records.reader import read_run
from orchestrator.records.requests import (
    Request,
    UnreadableRequestWarning,
    requests_of,
    user_at_host,
    write_request,
)
from orchestrator.records.run import RunRecords, TrialRecord
from orchestrator.records.whole import DiskFull, is_full, write_atomically
from orchestrator.records.writer import FailureKind, RunWriter, TrialEnd, trial_name

__all__ = [
    "DiskFull",
    "FailureKind",
    "JsonLines",
    "Mode",
    "Request",
    "RunFolder",
    "RunRecords",
    "RunWriter",
    "TornLineWarning",
    "TrialEnd",
    "TrialRecord",
    "UnreadableRequestWarning",
    "best_epoch",
    "is_better",
    "is_full",
    "read_lines",
    "read_run",
    "requests_of",
    "run_names",
    "trial_name",
    "user_at_host",
    "write_atomically",
    "write_request",
]
