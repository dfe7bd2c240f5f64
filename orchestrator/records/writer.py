"""The driver's pen: the one writer of a run's trials, epochs and events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, cast

from orchestrator.records.events import Event, RunEvent, TrialEnd, TrialStarted, parse
from orchestrator.records.folder import RunFolder
from orchestrator.records.jsonl import JsonLines, Pen
from orchestrator.records.lock.driver import now as _now

FLUSH_SECONDS = 5.0
"""How much of the epochs and the journal a power cut may take; of how trials ended, far rarer, one second."""


def trial_name(index: int) -> str:
    """Return the name of the trial drawn as number ``index``: five digits, so that names sort."""
    return f"{index:05d}"


def replicate_name(trial: str, replicate: int) -> str:
    """Return the name of a trial's replicate, ``00019-r1``: it sorts behind the trial and is no trial's."""
    return f"{trial}-r{replicate}"


def trial_index(trial: str) -> int:
    """Return the index in a name that ``trial_name`` made."""
    return int(trial)


class RunWriter:
    """Appends to one run's records; use it as a context manager. Every line gets its time (UTC).

    ``pen`` is asked before each write, and when the disk is full; ``written`` is called with the events afterwards.
    """

    def __init__(
        self,
        folder: RunFolder,
        pen: Pen | None = None,
        written: Callable[[Sequence[Event]], object] = lambda events: None,
    ) -> None:
        self._journal_file = folder.journal_file
        self._journal: JsonLines | None = None
        self._pen = pen or Pen()
        self._written = written
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
        ``more`` is ``group``, the group of comparable trials (left out, the first), and of a replicate ``repeats`` and
        ``replicate``.
        """
        started = TrialStarted(trial, index, seed, hyperparameters, _now(), origin, **more)
        line = {name: value for name, value in vars(started).items() if value is not None}
        self._trials.append({"event": "started", **line})
        self._written([started])

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Record entries of a babysat model's journal, timed now if without a time; return them.

        Raises ValueError for what is not one (``events.JournalEntry``).
        """
        time = _now()
        timed = [{**entry, "time": entry.get("time") or time} for entry in entries]
        for entry in timed:
            parse("journal.jsonl", entry)
        if timed and self._journal is None:  # a caviar run has no journal
            file = JsonLines(self._journal_file, self._pen, FLUSH_SECONDS)
            self._journal = self._open_files.enter_context(file)
        if self._journal is not None:
            self._journal.extend(timed)
            self._flush_what_is_due()
            self._written(cast(Sequence[Event], timed))
        return timed

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Record finished epochs (``events.EpochRow``), timed now if without a time."""
        time = _now()
        timed = [{**row, "time": row.get("time", time)} for row in rows]
        self._epochs.extend(timed)
        self._flush_what_is_due()
        self._written(cast(Sequence[Event], timed))

    def trial_ended(self, end: TrialEnd) -> None:
        """Record how a trial ended."""
        timed = replace(end, time=_now())
        self._trials.append({"event": "ended", **vars(timed)})
        self._flush_what_is_due()
        self._written([timed])

    def event(self, event: str, **facts: Any) -> None:
        """Record what happened to the run as a whole, e.g. ``run_started`` or ``winner``; on the disk when it returns.

        What was recorded before is there first: after a power cut no run is over that lacks epochs.
        """
        for file in self._others:
            file.flush()
        happened = {"event": event, "time": _now(), **facts}
        self._events.append(happened)
        self._events.flush()
        self._written([cast(RunEvent, happened)])

    @property
    def _others(self) -> list[JsonLines]:
        """The records besides the events; a trial's end must not reach the disk before its epochs."""
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
