"""What is recorded of a run: each kind of line is declared here once, checked by that where it is read.

Anyone can edit a text file. Names become file names and keys, so that ``../../x`` for a trial could otherwise reach
out of the run's folder; numbers are compared, times are subtracted. What a line has besides is kept and not looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, NotRequired, cast, get_args

from pydantic import ConfigDict, Discriminator, Tag, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # Python 3.11's own has no way to allow further keys

from orchestrator.domains.values import shown
from orchestrator.errors import explain
from orchestrator.records.line_fields import (
    Changes,
    ChangesMade,
    Count,
    MaybeCount,
    MaybeMetrics,
    MaybeMoment,
    MaybeName,
    MaybeSeconds,
    MaybeText,
    MaybeValues,
    Metrics,
    Moment,
    Name,
    Names,
    Origin,
    Seconds,
    StoppedBy,
    Text,
    Texts,
    Values,
    a_text,
    checked,
    maybe_a_text,
)

Ending = Literal["finished", "stopped", "failed", "diverged", "interrupted"]
FailureKind = Literal["error", "out_of_memory", "worker_died", "node_lost", "timeout", "disk"]
Kind = Literal["asked", "applied", "refused", "effect", "advice", "day", "verdict"]
KINDS: tuple[str, ...] = get_args(Kind)


_FURTHER_KEYS = ConfigDict(extra="allow")


@dataclass(frozen=True)
class TrialStarted:
    """A trial began; begun again, its earlier ending is void. A line of ``trials.jsonl``.

    ``index`` is its place in the order of drawing. ``origin`` is where a branch or a promoted trial comes from: {run
    (None: this one), trial, day, epoch, stretch}. Trials of one ``group`` can be compared; the first is 1.

    A replicate ``repeats`` the trial of that name: its hyperparameters and its index, with a seed that follows from the
    number of the ``replicate``, from 1, alone. That trial stands for the configuration.
    """

    trial: Name
    index: Count
    seed: Count
    hyperparameters: Values
    time: Moment = ""
    origin: Origin = None
    group: MaybeCount = 1
    repeats: MaybeName = None
    replicate: MaybeCount = None


@dataclass(frozen=True)
class TrialEnd:
    """How a trial ended. A line of ``trials.jsonl``.

    ``stopped_by`` is {scheduler, epoch, value, cutoff}, with ``paused`` where it waited there to be promoted;
    ``error`` the first line of what was raised and ``error_file`` where the whole of it lies, relative to the run;
    ``path`` is how it trained ("compiled" or "fit") and ``path_reason`` why, where it was not compiled; ``worker`` is
    host:pid of the process that trained it and ``rss_mb`` that process's memory afterwards, in MiB; ``failure`` is what
    happened to a failed one and ``attempts`` how often it was begun.
    """

    trial: Name
    status: Annotated[Ending, a_text]
    seconds: MaybeSeconds = None
    stopped_by: StoppedBy = None
    error: MaybeText = None
    error_file: MaybeText = None
    parameters: Any = None
    path: Any = None
    path_reason: Any = None
    worker: Any = None
    rss_mb: Any = None
    failure: Annotated[FailureKind | None, maybe_a_text] = None
    attempts: MaybeCount = 1
    time: Moment = ""

    def with_error_file(self, error_file: str) -> TrialEnd:
        """Return the same ending with the place of its whole error."""
        return replace(self, error_file=error_file)


@dataclass(frozen=True)
class TrialWaits:
    """A trial left its place until it is promoted; or trains again. No line: a driver tells it those who look on."""

    trial: str
    waits: bool = True


class EpochRow(TypedDict):
    """A finished epoch of a trial, the first is 1: a line of ``epochs.jsonl``.

    ``stretch`` is the number of rollbacks that its model has been through, ``parameters`` the model's. The first epoch
    since a warm worker took the trial has ``start_seconds``: how long it took to begin or to resume it.
    """

    __pydantic_config__ = _FURTHER_KEYS  # type: ignore[misc]
    trial: Name
    epoch: Count
    metrics: Metrics
    seconds: Seconds
    time: NotRequired[MaybeMoment]
    stretch: NotRequired[MaybeCount]
    start_seconds: NotRequired[MaybeSeconds]
    parameters: NotRequired[Any]


LANES_CHOSEN = "lanes_chosen"


class RunEvent(TypedDict):
    """What happened to the run as a whole: a line of ``events.jsonl``.

    Besides ``extended``, ``round_began``, ``finalist_known``, ``race_began``, ``race_ended``, ``winner``: run_started
    (host, pid; trials: the most there can be, where the space has fewer than asked for), run_finished and
    run_interrupted (reason), taken_over (from: the dead driver), paused (reason, seconds), retried (trial, failure,
    error, attempt, wait_seconds), fewer_at_once (trials, reason), trained_again (trial, reason), not_restored (trial,
    error, error_file), scheduler_chose (reason, scheduler), not_examined (reason), not_profiled (reason),
    searcher_failed (index, reason), not_raced (reason), other_versions, lanes_chosen (lanes, reason, measured),
    lanes_not_tried (trial, reason), lost_together (trials, reason).
    """

    __pydantic_config__ = _FURTHER_KEYS  # type: ignore[misc]
    event: Text
    time: Moment
    trial: NotRequired[MaybeName]
    reason: NotRequired[MaybeText]
    error: NotRequired[MaybeText]
    error_file: NotRequired[MaybeText]
    failure: NotRequired[Annotated[FailureKind | None, maybe_a_text]]
    seconds: NotRequired[Seconds]
    changes: NotRequired[Changes]


class Extended(RunEvent):
    """The run was made longer; everything else about an extension follows from this line.

    - changes: {key: [old, new]}, the keys as ``--set`` has them, the search space as one
    - forced: what makes its trials incomparable with those before it; empty where they are comparable
    - group: the group that trials started from then on belong to; the first is 1
    - going_on: the finished trials that train further
    - reopened: those that ended paused, and wait again to be promoted
    - retried: {trial: stretch} of those that begin anew; what they trained in an earlier stretch counts no more
    - epochs_before: how many epochs were recorded by then
    - now: the data and the model from then on, as in the manifest, where ``forced`` is not empty
    """

    changes: ChangesMade  # type: ignore[misc]
    forced: NotRequired[Texts]
    group: NotRequired[MaybeCount]
    going_on: NotRequired[Texts]
    reopened: NotRequired[Texts]
    retried: NotRequired[MaybeValues]
    epochs_before: NotRequired[MaybeCount]
    now: NotRequired[MaybeValues]


class RoundBegan(RunEvent):
    """From trial ``first`` on so many are drawn from ``space``, ``share_of_whole`` of them from the experiment's.

    ``findings`` say how each range moved and why: {hyperparameter: {move, before, now, why}}.
    """

    round: Count
    first: Count
    trials: Count
    space: Values
    constraints: NotRequired[Texts]
    share_of_whole: NotRequired[MaybeSeconds]
    findings: NotRequired[MaybeValues]


class FinalistKnown(RunEvent):
    """A ``trial`` is sure to be among the finalists while others still train: its replicates, from ``first``, begin."""

    trial: Name  # type: ignore[misc]
    first: Count


class RaceBegan(RunEvent):
    """The ``finalists`` (trials' names, best first) are trained again, each at most with so many ``seeds``.

    Their replicates are numbered from ``first``; those of smaller numbers belong to an earlier race. ``budget`` is the
    most epochs that all of them train, ``confidence`` the chance of being the best at which the race stops. With
    ``folds`` a replicate's number says on which it was trained and judged.
    """

    finalists: Names
    seeds: Count
    budget: Count
    confidence: Seconds
    first: NotRequired[MaybeCount]
    folds: NotRequired[MaybeCount]


class RaceEnded(RunEvent):
    """How a race ended: ``verdict`` is best, tied or undecided; ``order`` has its configurations, the winner first.

    ``chance`` is the winner's of being the best, ``chances`` are those of all that were left, ``tied`` those among them
    that may be the best. ``dropped`` says why the others were dropped before: {trial: text}.
    """

    verdict: Text
    order: Names
    winner: NotRequired[MaybeName]
    chance: NotRequired[MaybeSeconds]
    chances: NotRequired[MaybeValues]
    tied: NotRequired[Names]
    dropped: NotRequired[MaybeValues]


class Winner(RunEvent):
    """The best trial was examined: its best epoch, the scores of the final model, and what else was found.

    ``noise``: the metric's standard error from the validation rows; ``calibration`` {temperature, ece, …};
    ``batch_norm`` {metric, moving_averages, batch_statistics, gap, batch_size}; ``failing``: a mapping a class.
    """

    trial: Name  # type: ignore[misc]
    epoch: Count
    hyperparameters: NotRequired[MaybeValues]
    validation: NotRequired[MaybeMetrics]
    validation_before_recalibration: NotRequired[MaybeMetrics]
    validation_after_recalibration: NotRequired[MaybeMetrics]
    test: NotRequired[MaybeMetrics]
    test_before_recalibration: NotRequired[MaybeMetrics]
    test_after_recalibration: NotRequired[MaybeMetrics]
    noise: NotRequired[MaybeMetrics]
    calibration: NotRequired[MaybeValues]
    batch_norm: NotRequired[MaybeValues]


class JournalEntry(TypedDict):
    """What was asked of a babysat model, done to it, or seen in it: a line of ``journal.jsonl``.

    ``epoch`` and ``day`` are those finished by then; ``stretch`` as in a row; an entry that is reported again has
    the ``id`` of the first. Besides, by ``kind``:

    - asked: request (its id), action, arguments, who, why, expect, force
    - applied: request (id or None), by (who asked, "schedule" or "sitter:<rule>"), action, changes
      {name: [old, new]}, how ("live", "rebuilt" or None), and to_day, to_epoch or branch
    - refused: request, reason
    - effect: request, by, of_day, metric, before, after, expected
    - advice: rule, suggests, changes, evidence, done (whether it was done at once)
    - day: metrics, hyperparameters (in force at its end), checkpoint (relative path), bytes, seconds
    - verdict: text, and the rule where it is the sitter's
    """

    __pydantic_config__ = _FURTHER_KEYS  # type: ignore[misc]
    kind: Annotated[Kind, checked(KINDS.__contains__, f"one of {', '.join(KINDS)}")]
    trial: Name
    time: Moment
    epoch: Count
    day: Count
    stretch: NotRequired[MaybeCount]
    id: NotRequired[MaybeText]
    request: NotRequired[MaybeText]
    action: NotRequired[MaybeText]
    by: NotRequired[MaybeText]
    who: NotRequired[MaybeText]
    why: NotRequired[MaybeText]
    reason: NotRequired[MaybeText]
    arguments: NotRequired[MaybeValues]
    evidence: NotRequired[MaybeValues]
    changes: NotRequired[Changes]
    branch: NotRequired[MaybeName]
    to_day: NotRequired[MaybeCount]
    to_epoch: NotRequired[MaybeCount]
    seconds: NotRequired[MaybeSeconds]
    hyperparameters: NotRequired[MaybeValues]


class Applied(JournalEntry):
    """An entry of kind ``applied``."""

    action: Text  # type: ignore[misc]


class Day(JournalEntry):
    """An entry of kind ``day``: one is over."""

    metrics: Metrics


Event = TrialStarted | TrialEnd | TrialWaits | EpochRow | RunEvent | JournalEntry


def _adapter(name: str, kinds: Any) -> TypeAdapter[Any]:
    """Return what checks lines of these kinds, told apart by a field; those of no other are of the one tagged ""."""
    tags = {kind.__metadata__[0].tag for kind in get_args(kinds)}

    def kind(value: Any) -> str:
        return found if (found := value.get(name)) in tags else ""

    return TypeAdapter(Annotated[kinds, Discriminator(kind)])


_FIRST = {
    "trials.jsonl": "event",
    "epochs.jsonl": "trial",
    "events.jsonl": "event",
    "journal.jsonl": "kind",
}
"""For each file, the field that tells its lines apart."""


@functools.cache
def _lines_of(file: str) -> TypeAdapter[Any]:
    """Return what a line of a file is; made for a file that has one."""
    if file == "epochs.jsonl":
        return TypeAdapter(EpochRow)
    kinds: Any
    if file == "trials.jsonl":
        kinds = Annotated[TrialStarted, Tag("started")] | Annotated[TrialEnd, Tag("ended")]
    elif file == "journal.jsonl":
        kinds = (
            Annotated[Applied, Tag("applied")]
            | Annotated[Day, Tag("day")]
            | Annotated[JournalEntry, Tag("")]
        )
    else:
        kinds = (
            Annotated[Extended, Tag("extended")]
            | Annotated[RoundBegan, Tag("round_began")]
            | Annotated[FinalistKnown, Tag("finalist_known")]
            | Annotated[RaceBegan, Tag("race_began")]
            | Annotated[RaceEnded, Tag("race_ended")]
            | Annotated[Winner, Tag("winner")]
            | Annotated[RunEvent, Tag("")]
        )
    return _adapter(_FIRST[file], kinds)


class NotARecord(ValueError):
    """A line that is none of its file's; the message says which field is missing or not what its name says."""


def parse(file: str, record: dict[str, Any]) -> Event:
    """Return a line of the file named ``file`` as an event. Raises NotARecord where it is not one."""
    first = _FIRST[file]
    if first not in record:
        raise NotARecord(_missing(first, record))
    try:
        value = _lines_of(file).validate_python(record)
    except ValidationError as error:
        raise NotARecord(_sentence(error.errors()[0], record)) from None
    if not isinstance(value, TrialStarted | TrialEnd):
        return cast(EpochRow, record)
    if not value.time:
        raise NotARecord(_missing("time", record))
    return value


def _sentence(error: Any, record: Mapping[str, Any]) -> str:
    where = str(error["loc"][-1]) if error["loc"] else "event"
    match error["type"]:
        case "missing":
            return _missing(where, record)
        case "expected":
            return explain(where, f"expected {error['ctx']['expected']}", shown(error["input"]))
    return explain("event", "an event", record.get("event"), ("started", "ended"))


def _missing(name: str, record: Mapping[str, Any]) -> str:
    return explain("fields", f"the field {name!r}", shown(sorted(record)))
