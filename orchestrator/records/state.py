"""What a run's events mean: the one place that knows what is best, ranked, open, paused or rolled back.

Everything that records, reads or shows a run folds the same events into a ``RunState``: the driver as they happen, a
reader file by file. The order within one file counts, the order between files does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from orchestrator.records.events import EpochRow, Event, TrialEnd, TrialStarted, TrialWaits
from orchestrator.records.lineage import is_rollback
from orchestrator.records.score import Mode, Score, score_of
from orchestrator.records.trial import TrialHistory, TrialRecord

_OF_AN_ENDING = [f.name for f in fields(TrialEnd) if f.name not in ("trial", "status", "time")]


class RunState:
    """What is known of a run; ``apply`` takes in what happened next.

    ``metric`` and ``mode`` are what its trials are judged by; ``endings`` counts how they ended, ``epochs`` those
    recorded, replicates left out of the former: so many are ``again``. ``extensions`` are the ``extended`` events;
    ``race``, ``race_result`` and ``winner`` are the events race_began, race_ended and winner since the last of them,
    each void with the next one of those before it. ``known_finalists`` are those whose replicates began before the
    race: {trial: first number}.
    ``group`` is the newest group of trials, and ``groups`` says what sets each one apart from the one before it; it is
    empty where all trials compare. ``thin`` lets go of the epochs of trials that are over, so that a driver's memory
    does not grow with the run.
    """

    def __init__(self, metric: str, mode: Mode, thin: bool = False) -> None:
        self.metric = metric
        self.mode = mode
        self.trials: dict[str, TrialRecord] = {}
        self.events: list[Mapping[str, Any]] = []
        self.extensions: list[Mapping[str, Any]] = []
        self.groups: dict[int, tuple[str, ...]] = {}
        self.known_finalists: dict[str, int] = {}
        self.race: Mapping[str, Any] | None = None
        self.race_result: Mapping[str, Any] | None = None
        self.winner: dict[str, Any] | None = None
        self.endings: Counter[str] = Counter()
        self.again = 0
        self.epochs = 0
        self.slowest_epoch = 0.0
        self.group = 1
        self._thin = thin
        self._paused: set[str] = set()
        self._open: set[str] = set()
        self._waiting: set[str] = set()
        self._histories: dict[str, TrialHistory] = {}
        self._leader: str | None = None
        self._leader_is_known = True

    def apply(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case TrialStarted():
                self._started(event)
            case TrialEnd():
                self._ended(event)
            case TrialWaits():
                (self._waiting.add if event.waits else self._waiting.discard)(event.trial)
            case {"kind": _}:
                self._entered(event)
            case {"event": _}:
                self._happened(event)
            case _:
                self._trained(event)  # type: ignore[arg-type]

    def history(self, trial: str) -> TrialHistory:
        """Return a trial's own epochs and journal, empty for one that has none."""
        return self._histories.get(trial) or TrialHistory()

    def score_of(self, trial: str) -> Score | None:
        """Return the score of the best epoch that a trial trained itself and that was not rolled back."""
        found = self._histories.get(trial)
        return found.best(self.metric, self.mode) if found else None

    @property
    def done(self) -> int:
        """How many trials have ended for good: one that was interrupted may go on."""
        return self.endings.total() - self.endings["interrupted"]

    @property
    def open(self) -> frozenset[str]:
        """The trials that began and have not ended."""
        return frozenset(self._open)

    @property
    def waiting(self) -> frozenset[str]:
        """The open trials that were said to have left their place to others, until their scheduler promotes them."""
        return frozenset(self._waiting & self._open)

    @property
    def paused(self) -> frozenset[str]:
        """The open trials that were asked to wait."""
        return frozenset(self._paused & self._open)

    @property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """The trials of the newest group, best first and without a finite value last; then older groups'.

        Replicates are left out; the configurations of a race that is over come first, its winner before all.
        """
        drawn = (trial for trial in self.trials.values() if trial.repeats is None)
        return tuple(sorted(drawn, key=lambda trial: self.rank(trial.trial)))

    @property
    def leader(self) -> str | None:
        """The best trial of the newest group; None where none of them has a finite value.

        After a race it is the best replicate of the winner's: the trial that its configuration repeats was looked at
        because it came out high. With folds it is that trial: it was judged on the rows of all others.
        """
        if not self._leader_is_known:
            # By epochs, not by trials: the line that a trial began may be the one that was lost.
            known = [t for t in list(self._histories) if self._contends(t)]
            self._leader = min(known, key=self.rank, default=None)
            won = None if self.has_folds else (self.race_result or {}).get("winner")
            if self._leader is not None and self._leader == won:
                again = [
                    t.trial for t in self.replicates_of(self._leader) if self.score_of(t.trial)
                ]
                self._leader = min(again, key=self.rank, default=self._leader)
            self._leader_is_known = True
        return self._leader

    @property
    def has_folds(self) -> bool:
        """Whether the replicates of the latest race were judged on other rows than the trials that they repeat."""
        return bool((self.race or {}).get("folds"))

    def replicates_of(self, trial: str) -> tuple[TrialRecord, ...]:
        """Return the replicates of a trial in the latest race, by their numbers; none where there was no race."""
        if self.race is None:
            return ()
        first = int(self.race.get("first") or 1)
        mine = (t for t in self.trials.values() if t.repeats == trial and t.group == self.group)
        return tuple(
            sorted((t for t in mine if (t.replicate or 0) >= first), key=lambda t: t.replicate or 0)
        )

    def round_of(self, trial: str) -> int:
        """Return the round that a trial belongs to; the first is 1."""
        found = self.trials.get(trial)
        began = (event for event in self.events if event["event"] == "round_began")
        return 1 + sum(found is not None and found.index >= int(event["first"]) for event in began)

    @property
    def rounds(self) -> int:
        """How many rounds have begun: one where the run has no others."""
        return 1 + len([event for event in self.events if event["event"] == "round_began"])

    def _started(self, event: TrialStarted) -> None:
        before = self.trials.get(event.trial)
        if (
            before and before.ending and not event.repeats
        ):  # begun again: its earlier ending is void
            self.endings[before.ending] -= 1
        self.trials[event.trial] = TrialRecord(
            event.trial,
            event.index,
            event.seed,
            event.hyperparameters,
            started=event.time,
            origin=event.origin,
            group=int(event.group or 1),
            repeats=event.repeats,
            replicate=event.replicate,
        )
        self.again += before is None and event.repeats is not None
        self._open.add(event.trial)
        self._waiting.discard(event.trial)
        self._begin_group(int(event.group or 1))
        if before is None or event.trial == self._leader:  # its group and its index are known now
            self._leader_is_known = self._leader_is_known and event.trial not in self._histories

    def _ended(self, event: TrialEnd) -> None:
        before = self.trials[event.trial]
        facts = {name: getattr(event, name) for name in _OF_AN_ENDING}
        now = replace(before, ending=event.status, ended=event.time, **facts)
        if before.repeats is None:
            self.endings[event.status] += 1
            if before.ending:
                self.endings[before.ending] -= 1
        self.trials[event.trial] = now
        self._open.discard(event.trial)
        self._waiting.discard(event.trial)
        if self._thin and now.is_over and event.trial in self._histories:
            self._histories[event.trial].let_go_of_epochs()

    def _trained(self, row: EpochRow) -> None:
        trial = row["trial"]
        score = score_of(row, self.metric, self.mode)
        self._histories.setdefault(trial, TrialHistory()).add_epoch(row, score)
        self.epochs += 1
        self.slowest_epoch = max(self.slowest_epoch, float(row.get("seconds") or 0.0))
        self._look_at(trial)

    def _entered(self, entry: Any) -> None:
        trial = entry["trial"]
        self._histories.setdefault(trial, TrialHistory()).add_entry(entry)
        if entry["kind"] != "applied":
            return
        if entry.get("action") == "pause":
            self._paused.add(trial)
        elif entry.get("action") in ("continue", "stop"):
            self._paused.discard(trial)
        elif is_rollback(entry):
            self._leader_is_known = False

    def _happened(self, event: Any) -> None:
        self.events.append(event)
        if event["event"] == "winner":
            self.winner = dict(event)
        elif event["event"] == "finalist_known":
            self.known_finalists[event["trial"]] = int(event["first"])
        elif event["event"] == "race_began":
            self.race, self.race_result, self.winner = event, None, None
            self._leader_is_known = False
        elif event["event"] == "race_ended":
            self.race_result, self._leader_is_known = event, False
        elif event["event"] == "extended":
            self.race, self.race_result, self.winner = None, None, None
            self.known_finalists.clear()
            self._leader_is_known = False
            self.extensions.append(event)
            for trial, stretch in (event.get("retried") or {}).items():
                self._histories.setdefault(trial, TrialHistory()).begin_anew(int(stretch))
                self._leader_is_known = False
            group = int(event.get("group") or 1)
            if group > 1:
                self.groups.setdefault(group, tuple(event.get("forced") or ()))
            self._begin_group(group)

    def _begin_group(self, group: int) -> None:
        if group > self.group:
            self.group = group
            self._leader_is_known = False

    def _look_at(self, trial: str) -> None:
        """Have a trial that got better lead, where it does."""
        if self._leader_is_known and self._contends(trial):
            leads = self._leader is None or self.rank(trial) < self.rank(self._leader)
            self._leader = trial if leads else self._leader

    def _contends(self, trial: str) -> bool:
        found = self.trials.get(trial)
        drawn = found is None or found.repeats is None
        return drawn and self._group_of(trial) == self.group and self.score_of(trial) is not None

    def _group_of(self, trial: str) -> int:
        found = self.trials.get(trial)
        return found.group if found else 1

    def rank(self, trial: str) -> tuple[Any, ...]:
        """Return what sorts trials best first: newest group, how a race ended, score, order of drawing."""
        found, score = self.trials.get(trial), self.score_of(trial)
        known = (False, score.rank) if score else (True, ())
        order = tuple((self.race_result or {}).get("order") or ())
        # A race's own order comes before scores: those of its configurations were picked for being high.
        place = order.index(trial) if trial in order else len(order)
        return (-self._group_of(trial), place, *known, found.index if found else 0, trial)
