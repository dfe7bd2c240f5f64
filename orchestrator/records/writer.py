"""The driver's pen: the one writer of a run's trials, epochs and events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self

from orchestrator.records.driver import now as _now
from orchestrator.records.folder import RunFolder
from orchestrator.records.journal import KINDS, REQUIRED
from orchestrator.records.lines import JsonLines, Pen
from orchestrator.records.tally import Tally

Ending = Literal["finished", "stopped", "failed", "diverged", "interrupted"]
FailureKind = Literal["error", "out_of_memory", "worker_died", "node_lost", "timeout", "disk"]

FLUSH_SECONDS = 5.0
"""How much of the epochs and the journal a power cut may take; of how trials ended, far rarer, one second."""


def trial_name(index: int) -> str:
    """Return the name of the trial drawn as number ``index``: five digits, so that names sort."""
    return f"{index:05d}"


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended; the fields are those of its line in ``trials.jsonl``.

    ``stopped_by`` is {scheduler, epoch, value, cutoff}; ``error`` the first line of what was raised
    and ``error_file`` where the whole of it lies, relative to the run; ``path`` is how it trained
    ("compiled" or "fit") and ``path_reason`` why, where it was not compiled; ``worker`` is host:pid
    of the process that trained it and ``rss_mb`` that process's memory afterwards, in MiB; ``failure`` is what
    befell a failed one and ``attempts`` how often it was begun.
    """

    trial: str
    status: Ending
    seconds: float
    stopped_by: Mapping[str, Any] | None = None
    error: str | None = None
    error_file: str | None = None
    parameters: int | None = None
    path: Literal["compiled", "fit"] | None = None
    path_reason: str | None = None
    worker: str | None = None
    rss_mb: float | None = None
    failure: FailureKind | None = None
    attempts: int = 1

    def with_error_file(self, error_file: str) -> TrialEnd:
        """Return the same ending with the place of its whole error."""
        return replace(self, error_file=error_file)


class RunWriter:
    """Appends to one run's records; use it as a context manager. Every line gets its time (UTC).

    ``pen`` is asked before each write, and when the disk is full; ``tally`` is told what was written.
    """

    def __init__(
        self, folder: RunFolder, pen: Pen | None = None, tally: Tally | None = None
    ) -> None:
        self._journal_file = folder.journal_file
        self._journal: JsonLines | None = None
        self._pen = pen or Pen()
        self._tally = tally or Tally()
        with ExitStack() as stack:
            # Closed last: that others had to wait for room while they were closed is an event.
            self._events = stack.enter_context(JsonLines(folder.events_file, self._pen))
            self._trials = stack.enter_context(JsonLines(folder.trials_file, self._pen, 1.0))
            self._epochs = stack.enter_context(
                JsonLines(folder.epochs_file, self._pen, FLUSH_SECONDS)
            )
            self._open_files = stack.pop_all()

    def trial_started(
        self,
        trial: str,
        index: int,
        seed: int,
        hyperparameters: Mapping[str, Any],
        origin: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> None:
        """Record that a trial began; begun again (resumed), its earlier ending is void.

        ``origin`` is where a branch forked: {run (None: this one), trial, day, epoch, stretch};
        ``more`` is ``group``, the group of comparable trials; left out, the first.
        """
        line = {
            "event": "started",
            "trial": trial,
            "index": index,
            "seed": seed,
            "hyperparameters": hyperparameters,
            "time": _now(),
        }
        if origin is not None:
            line["origin"] = origin
        self._trials.append(line | more)
        self._tally.trial_started(trial)

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Record entries of a babysat model's journal, timed now if without a time; return them.

        Their fields are told in ``orchestrator.records.journal``.
        """
        time = _now()
        timed = [{**entry, "time": entry.get("time") or time} for entry in entries]
        for entry in timed:
            missing = [name for name in REQUIRED if name not in entry]
            if missing or entry["kind"] not in KINDS:
                raise ValueError(f"not an entry of the journal (lacks {missing}): {entry}")
        if timed and self._journal is None:  # a caviar run has no journal
            file = JsonLines(self._journal_file, self._pen, FLUSH_SECONDS)
            self._journal = self._open_files.enter_context(file)
        if self._journal is not None:
            self._journal.extend(timed)
            self._flush_what_is_due()
            self._tally.journal(timed)
        return timed

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Record finished epochs: {trial, epoch, metrics, seconds}, timed now if without a time."""
        time = _now()
        timed = [{**row, "time": row.get("time", time)} for row in rows]
        self._epochs.extend(timed)
        self._flush_what_is_due()
        self._tally.epochs(timed)

    def trial_ended(self, end: TrialEnd) -> None:
        """Record how a trial ended."""
        self._trials.append({"event": "ended", **asdict(end), "time": _now()})
        self._flush_what_is_due()
        self._tally.trial_ended(end.trial, end.status)

    def event(self, event: str, **facts: Any) -> None:
        """Record what happened to the run as a whole, e.g. ``run_started`` or ``winner``; on the disk when it returns.

        What was recorded before is there first: after a power cut no run is over that lacks epochs.
        """
        for file in self._others:
            file.flush()
        self._events.append({"event": event, "time": _now(), **facts})
        self._events.flush()

    @property
    def _others(self) -> list[JsonLines]:
        """The records beside the events; what tells of epochs comes after them."""
        return [*([self._journal] if self._journal else []), self._epochs, self._trials]

    def _flush_what_is_due(self) -> None:
        for file in self._others:
            file.flush_if_due()

    def close(self) -> None:
        """Flush and let go of the files."""
        self._open_files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
