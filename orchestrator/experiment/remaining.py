"""What is left to do of a run, as its records have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from orchestrator.experiment.budget_used import facts_kept, incomplete_trials, spent
from orchestrator.experiment.prepared import Prepared
from orchestrator.records import Event, RunRecords, TrialEnd, TrialRecord
from orchestrator.records.lineage import stretch_of
from orchestrator.schedulers import Decision, PassedBefore
from orchestrator.schedulers.scheduler import deepens, tell_ended
from orchestrator.search import Plan, Round, Search, TrialSpec
from orchestrator.search.race_events import Race
from orchestrator.trials import StateStore

if TYPE_CHECKING:
    from orchestrator.tuning.protocol import Sitting


@dataclass(frozen=True)
class Extension:
    """What turns a run into a longer one: its ``extended`` event, and how the manifest reads from then on."""

    event: dict[str, Any]
    manifest: dict[str, Any]


@dataclass(frozen=True)
class Resumed:
    """What is left to do of a run: its experiment with the trials that have not ended.

    ``records`` is what happened so far; ``search`` has been told it; ``endings`` are of trials that the scheduler had
    stopped when the driver died before it could write that down. All are empty for a new run. ``extension`` is to be
    written down before anything else. ``reason`` is why a run had ended early of which the winner alone is left.
    ``restored`` are trials that ended, and are trained again for their states alone.
    """

    prepared: Prepared
    records: RunRecords | None = None
    search: Search | None = None
    endings: tuple[TrialEnd, ...] = ()
    extension: Extension | None = None
    reason: str | None = None
    restored: frozenset[str] = frozenset()

    @property
    def trials_in_all(self) -> int:
        """How many trials the run has: those that are over, and those that are yet to end."""
        recorded = self.records.all_trials if self.records else ()
        beyond = {trial.trial for trial in recorded if self._is_beyond(trial)}
        if self.search is not None:
            beyond |= self.search.pending - {trial.trial for trial in recorded}
        return self.most_planned + len(beyond)

    @property
    def most_planned(self) -> int:
        """How many trials of the plan there are at most, those of another space included that it had before."""
        recorded = self.records.all_trials if self.records else ()
        holds = self.plan.first_round.holds
        others = [t for t in recorded if not (self._is_beyond(t) or holds(t.hyperparameters))]
        return self.plan.most_trials_beside(len(others))

    def _is_beyond(self, trial: TrialRecord) -> bool:
        return trial.is_branch or trial.index >= self.plan.trials_in_all

    @property
    def plan(self) -> Plan:
        """What the run is to do in all."""
        return self.prepared.plan

    @property
    def described(self) -> str:
        """What is left to do, in a few words."""
        described = self.plan.described_with(self.most_planned)
        return described if self.records is None else f"what is left of {described}"

    @property
    def recorded(self) -> list[Event]:
        """What has been written down of the run so far, as it is gone on from.

        A trial that goes on, or was in training when its driver died, is interrupted until it begins again. An
        extension's own event is not written down yet.
        """
        if self.records is None:
            return []
        further = going_on(self.plan, self.records) | reopened(self.records) | retried(self.records)
        events = self.records.events[:-1] if self.extension else self.records.events
        lines = (
            replace(line, status="interrupted")
            if isinstance(line, TrialEnd) and line.trial in further
            else line
            for line in self.records.trial_lines
        )
        cut_off = (
            TrialEnd(t.trial, "interrupted", t.seconds)
            for t in self.records.all_trials
            if not t.ending
        )
        # Epochs first: a state that keeps none of a trial that is over lets go of them at its end.
        return [*self.records.epochs, *self.records.journal, *lines, *cut_off, *events]

    def sitting(self, stopping: Callable[[], bool]) -> Sitting:
        """Return what this stretch of the run is given; ``stopping`` says when it is asked to end."""
        from orchestrator.tuning.protocol import Sitting

        if self.records is None or self.search is None:
            return Sitting(self.prepared.cores, stopping=stopping)
        anew = self.restored | retried(self.records)
        before = spent(self.records, self.plan, self.search.pending, anew)
        return Sitting(self.prepared.cores, self.search, before, stopping)


def remaining(
    prepared: Prepared, records: RunRecords, endings: tuple[TrialEnd, ...] = ()
) -> Resumed:
    """Return the trials that neither ended nor are ended by ``endings``, and the search as the records left it."""
    plan = prepared.plan
    again = incomplete_trials(records, plan)
    search, decided = decisions(plan, records, again)
    if _has_chosen(records):
        search.remarks.clear()
    endings = tuple(end for end in endings + decided if end.trial not in again)
    for end in endings:
        search.recall_ending(end.trial, end.status)
    paused = {trial for trial in reopened(records) if trial in search.paused}
    further = going_on(plan, records) | again | paused
    anew = retried(records)
    over = {
        trial.trial
        for trial in records.all_trials
        if trial.trial not in anew
        and (trial.group < records.state.group or not (_is_open(trial) or trial.trial in further))
    }
    over |= {end.trial for end in endings}
    search.take_up(_known(plan, records), over, records.state.group)
    _take_up_race(search, records)
    for branch in _branches(records):
        if branch.trial not in over:
            search.add(replace(branch, group=records.state.group))
    if again:
        search.scheduler = PassedBefore(search.scheduler, reached(records), stops(records, decided))
    return Resumed(prepared, records, search, endings)


def decisions(
    plan: Plan, records: RunRecords, again: AbstractSet[str] = frozenset()
) -> tuple[Search, tuple[TrialEnd, ...]]:
    """Return a search that was told the records, and the endings it decided that were not written down.

    It sees the newest group alone. Of what was recorded before the run's last extension it learns, and decides nothing:
    that was the scheduler's of then. Those that ended, but train ``again``, have not ended for good.
    """
    anew, newest = retried(records), records.state.group
    current = {
        trial.trial: trial
        for trial in records.all_trials
        if trial.group == newest or trial.trial in anew
    }
    search = _begun(plan, records, current)
    decided_before = epochs_before_extension(records)
    last = reached(records)
    endings = {}
    for number, row in enumerate(records.epochs):
        trial = current.get(row["trial"])
        if trial is None:
            continue
        decision = search.tell(row)
        is_last = int(row["epoch"]) >= last[trial.trial]
        if decision is None or not (decision.stop and is_last and _is_open(trial)):
            continue
        if number >= decided_before:
            name = search.scheduler.name
            endings[trial.trial] = stopped(records, trial, name, row, decision)
        else:
            search.recall_going_on(trial.trial)
    further = going_on(plan, records)
    for trial in current.values():
        if trial.ending is not None:
            open_again = further | again | anew | reopened(records)
            search.recall_ending(trial.trial, trial.ending, trial.trial not in open_again)
    for name in sorted(further):
        if not (deepens(search.scheduler) and name in search.paused):
            search.recall_going_on(name)
    return search, tuple(endings.values())


def _begun(plan: Plan, records: RunRecords, current: Mapping[str, TrialRecord]) -> Search:
    """Return a search that knows which rounds and trials began; those of older groups come to no further epoch."""
    search = Search(plan)
    for event in records.events:
        if event["event"] == "round_began":
            search.recall(Round.from_plain(event))
    for name, spec in _known(plan, records).items():
        if name in current:
            search.recall(spec)
    for trial in records.trials:
        if trial.trial not in current:
            tell_ended(search.scheduler, trial.trial)
    return search


def _take_up_race(search: Search, records: RunRecords) -> None:
    """Have a search go on with the race that was begun: no further trial is drawn; or with who is sure to be in it."""
    search.finalists.recall_known(records.state.known_finalists)
    if (race := records.state.race) is not None:
        search.close()
        search.finalists.recall(Race.from_plain(race), records.state.race_result is not None)


def _has_chosen(records: RunRecords) -> bool:
    """Return whether what the scheduler has chosen by itself was written down since the last extension."""
    names = [event["event"] for event in records.events]
    since = len(names) - names[::-1].index("extended") if "extended" in names else 0
    return "scheduler_chose" in names[since:]


def stopped(
    records: RunRecords, trial: TrialRecord, scheduler: str, row: Any, decision: Decision
) -> TrialEnd:
    """Return the ending of a trial that the scheduler stopped at an epoch, with what else is known of it."""
    stopped_by = {
        "scheduler": scheduler,
        "epoch": int(row["epoch"]),
        "value": row["metrics"].get(records.metric),
        "cutoff": decision.cutoff,
    }
    seconds = trained_seconds(records, trial.trial)
    told = {field.name: getattr(trial, field.name, None) for field in fields(TrialEnd)}
    about = {name: value for name, value in told.items() if value is not None}
    about = facts_kept(records, trial.trial) | about
    return TrialEnd(
        **{"seconds": seconds} | about | {"status": "stopped", "stopped_by": stopped_by}
    )


def trained_seconds(records: RunRecords, trial: str) -> float:
    """Return how long a trial has trained."""
    return sum(float(row["seconds"]) for row in records.of(trial).epochs)


def last_epoch(records: RunRecords, trial: str) -> int:
    """Return how many epochs a trial has trained."""
    rows = records.of(trial).own_epochs
    return int(rows[-1]["epoch"]) if rows else 0


def going_on(plan: Plan, records: RunRecords) -> frozenset[str]:
    """Return the finished trials that were to train further when the run was last extended, and have not yet.

    One that has ended since has, though a function may have returned before its last epoch.
    """
    chosen = _yet_to_end(records, "going_on")
    return frozenset(
        trial.trial
        for trial in records.trials
        if trial.trial in chosen and trial.ending == "finished" and _is_short(trial, plan, records)
    )


def retried(records: RunRecords, begun: bool = True) -> frozenset[str]:
    """Return the trials that were to begin anew when the run was last extended, and have not ended since.

    Those that have ``begun`` anew are among them, or not.
    """
    names = _yet_to_end(records, "retried")
    since = records.state.extensions[-1].get("time") if names and not begun else None
    return frozenset(
        trial.trial
        for trial in records.trials
        if trial.trial in names and (since is None or trial.started <= since)
    )


def reopened(records: RunRecords) -> frozenset[str]:
    """Return the trials that wait again since the run was last extended, and have not ended since."""
    return _yet_to_end(records, "reopened")


def _yet_to_end(records: RunRecords, listed: str) -> frozenset[str]:
    if not records.state.extensions:
        return frozenset()
    last = records.state.extensions[-1]
    names, since = set(last.get(listed) or ()), last.get("time")
    return frozenset(
        trial.trial
        for trial in records.trials
        if trial.trial in names and (since is None or (trial.ended or "") <= since)
    )


def _is_short(trial: TrialRecord, plan: Plan, records: RunRecords) -> bool:
    """Return whether a trial lacks epochs or days of the plan's."""
    days = records.of(trial.trial).days
    return plan.is_short(last_epoch(records, trial.trial), int(days[-1]["day"] if days else 0))


def epochs_before_extension(records: RunRecords) -> int:
    """Return how many epochs were recorded when the run was last extended."""
    return (
        int(records.state.extensions[-1].get("epochs_before", 0)) if records.state.extensions else 0
    )


def reached(records: RunRecords) -> dict[str, int]:
    """Return the last recorded epoch of each trial."""
    last: dict[str, int] = {}
    for row in records.epochs:
        last[row["trial"]] = max(int(row["epoch"]), last.get(row["trial"], 0))
    return last


def stops(records: RunRecords, decided: tuple[TrialEnd, ...]) -> dict[str, tuple[int, Decision]]:
    """Return where trials were stopped, {trial: (epoch, decision)}: a gap before that is trained up to it."""
    found = {}
    ends: tuple[TrialRecord | TrialEnd, ...] = (*records.trials, *decided)
    for end in ends:
        by = end.stopped_by or {}
        if by.get("epoch") and "cutoff" in by:
            found[end.trial] = (int(by["epoch"]), Decision(stop=True, cutoff=by["cutoff"]))
    return found


def _is_open(trial: TrialRecord) -> bool:
    return trial.ending in (None, "interrupted")


def _known(plan: Plan, records: RunRecords) -> dict[str, TrialSpec]:
    """Return the plan's trials that have begun, as they were drawn then, since the space may have changed."""
    drawn = (t for t in records.trials if not t.is_branch and t.index < plan.trials_in_all)
    if plan.nursery is not None:
        points = {point.trial: point for point in plan.points}
        return {trial.trial: points[trial.trial] for trial in drawn}
    others = (*(trial for trial in records.trials if trial.is_branch), *records.replicates)
    return {trial.trial: spec_of(trial, records) for trial in (*drawn, *others)}


def spec_of(trial: TrialRecord, records: RunRecords) -> TrialSpec:
    """Return a trial as it was drawn, a copy in a population as it was made, or a replicate as it was planned."""
    return TrialSpec(
        trial.trial,
        trial.index,
        trial.seed,
        dict(trial.hyperparameters),
        origin=trial.origin if trial.is_branch else None,
        repeats=trial.repeats,
        replicate=trial.replicate,
        recipe=_recipe(trial, records),
    )


def _recipe(trial: TrialRecord, records: RunRecords) -> tuple[tuple[int, Mapping[str, Any]], ...]:
    """Return what a copy, or a replicate of one, trained with from which epoch on; nothing of other trials."""
    found: list[tuple[int, Mapping[str, Any]]] = []
    copy = records.trial(trial.repeats) if trial.repeats else trial
    while copy is not None and copy.is_branch and copy.origin is not None:
        found.append((int(copy.origin["epoch"]), dict(copy.hyperparameters)))
        copy = records.trial(str(copy.origin["trial"]))
    return ((0, dict(copy.hyperparameters)), *reversed(found)) if copy and found else ()


def _branches(records: RunRecords) -> Iterator[TrialSpec]:
    """Yield the branches that were made, begun or not."""
    started = {trial.trial: trial for trial in records.trials}
    for entry in records.journal:
        if entry["kind"] == "applied" and entry.get("action") == "branch":
            yield _branch(entry, started.get(str(entry["branch"])), records)


def _branch(entry: Mapping[str, Any], began: TrialRecord | None, records: RunRecords) -> TrialSpec:
    """Return a branch that was made, as it was planned."""
    day = int(entry["to_day"])
    states = StateStore.of(records.folder)
    file = states.days(str(entry["branch"])).file(day)
    changes = {name: new for name, (_, new) in (entry.get("changes") or {}).items()}
    spec = TrialSpec(
        trial=entry["branch"],
        index=1 + len(records.trials),
        seed=0,
        hyperparameters={},
        checkpoint=str(file.resolve()),
        branch=True,
        changes=changes,
    )
    if began is not None:  # the day it forked at need not be kept any more
        chosen = dict(began.hyperparameters)
        return replace(spec, seed=began.seed, hyperparameters=chosen, origin=began.origin)
    about = states.about(file)
    origin = {
        "run": None,
        "trial": entry["trial"],
        "day": day,
        "epoch": int(about["epoch"]),
        "stretch": stretch_of(entry),
    }
    chosen = {**about["chosen"], **changes}
    return replace(spec, seed=int(about["seed"]), hyperparameters=chosen, origin=origin)
