"""What happened in a run, as plain files: the truth that everything else is rebuilt from.

One writer (the driver) appends JSON lines; any number of readers rebuild values from them.
This room imports neither Ray, TensorFlow nor pandas.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.records.atomic_write import (
        DiskFull,
        flush_folder,
        is_full,
        lies_below,
        made,
        put_too,
        write_atomically,
    )
    from orchestrator.records.events import (
        EpochRow,
        Event,
        FailureKind,
        JournalEntry,
        TrialEnd,
        TrialStarted,
        TrialWaits,
    )
    from orchestrator.records.folder import RunFolder, run_names
    from orchestrator.records.heartbeat import (
        GIVEN_UP,
        RunProgress,
        SeenDriver,
        Standing,
        see_driver,
    )
    from orchestrator.records.jsonl import (
        DamagedLineWarning,
        JsonLines,
        Pen,
        TornLineWarning,
        read_lines,
    )
    from orchestrator.records.lineage import TrialLines
    from orchestrator.records.lock.driver import Driver, Heartbeat
    from orchestrator.records.lock.driver_lock import DriverLock, Patience, acquire
    from orchestrator.records.reader import read_run
    from orchestrator.records.removal import check_removable, remove_run, set_aside
    from orchestrator.records.requests import (
        Request,
        UnreadableRequestWarning,
        requests_of,
        user_at_host,
        write_request,
    )
    from orchestrator.records.run import (
        RecordedTrial,
        RunRecords,
        check_searched,
        model_is_as_saved,
        options_of,
    )
    from orchestrator.records.score import Mode, Score, best_score, score_of
    from orchestrator.records.state import RunState
    from orchestrator.records.status import RunStatus, run_status, status_or_damage
    from orchestrator.records.trial import TrialHistory, TrialRecord, shared_error
    from orchestrator.records.writer import RunWriter, replicate_name, trial_index, trial_name

__all__ = [
    "GIVEN_UP",
    "DamagedLineWarning",
    "DiskFull",
    "Driver",
    "DriverLock",
    "EpochRow",
    "Event",
    "FailureKind",
    "Heartbeat",
    "JournalEntry",
    "JsonLines",
    "Mode",
    "Patience",
    "Pen",
    "RecordedTrial",
    "Request",
    "RunFolder",
    "RunProgress",
    "RunRecords",
    "RunState",
    "RunStatus",
    "RunWriter",
    "Score",
    "SeenDriver",
    "Standing",
    "TornLineWarning",
    "TrialEnd",
    "TrialHistory",
    "TrialLines",
    "TrialRecord",
    "TrialStarted",
    "TrialWaits",
    "UnreadableRequestWarning",
    "acquire",
    "best_score",
    "check_removable",
    "check_searched",
    "flush_folder",
    "is_full",
    "lies_below",
    "made",
    "model_is_as_saved",
    "options_of",
    "put_too",
    "read_lines",
    "read_run",
    "remove_run",
    "replicate_name",
    "requests_of",
    "run_names",
    "run_status",
    "score_of",
    "see_driver",
    "set_aside",
    "shared_error",
    "status_or_damage",
    "trial_index",
    "trial_name",
    "user_at_host",
    "write_atomically",
    "write_request",
]

load_when_used(__name__)
