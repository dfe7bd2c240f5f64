"""What differs between a run that was hit and the same run left alone: nothing should."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.config import parse_experiment
from orchestrator.records import RunRecords
from orchestrator.records.jsonl import read_lines
from orchestrator.report.tables import trials_table
from orchestrator.schedulers import make_scheduler

OF_THE_CLOCK = ("seconds", "attempts", "failure")
"""Columns that say how it went, not what came of it."""


@dataclass(frozen=True)
class Damage:
    """What was done to a run's records besides.

    Where a line was ``torn`` or taken out, what it said is trained and recorded later than it was; an entry of a
    panda's journal that was ``taken_out`` stays out, since what was asked of a panda cannot be asked again.
    """

    torn: bool = False
    taken_out: int = 0


WHOLE = Damage()


def differences(
    reference: RunRecords, survivor: RunRecords, deterministic: bool, damage: Damage = WHOLE
) -> list[str]:
    """Return one sentence for each thing that a kill changed, and damage to the records does not account for."""
    found = [
        *_of_the_end(survivor),
        *_of_configurations(reference, survivor),
        *_of_epochs(survivor),
        *_of_curves(reference, survivor, deterministic),
        *_of_endings(survivor, damage),
    ]
    if damage == WHOLE:
        found += _of_decisions(survivor)
    if deterministic:
        found += [
            *_of_tables(reference, survivor),
            *_of_journals(reference, survivor, damage.taken_out),
        ]
    return [*found, *_of_winners(reference, survivor, deterministic)]


def _of_the_end(survivor: RunRecords) -> Iterator[str]:
    if survivor.status != "finished":
        yield f"the run is {survivor.status}"
    if survivor.winner is None:
        yield "there is no winner"


def _of_configurations(reference: RunRecords, survivor: RunRecords) -> Iterator[str]:
    """Every configuration is drawn once, none is skipped."""

    def drawn(records: RunRecords) -> dict[str, Any]:
        return {t.trial: (t.index, t.seed, dict(t.hyperparameters)) for t in records.trials}

    expected, received = drawn(reference), drawn(survivor)
    for trial in sorted(expected | received):
        if expected.get(trial) != received.get(trial):
            yield f"trial {trial} is {received.get(trial)}, not {expected.get(trial)}"


def _of_epochs(survivor: RunRecords) -> Iterator[str]:
    """No finished epoch is lost or repeated."""
    rows = Counter((row["trial"], row.get("stretch") or 0, row["epoch"]) for row in survivor.epochs)
    for name, times in rows.items():
        if times > 1:
            yield f"epoch {name} is recorded {times} times"
    for trial in survivor.trials:
        epochs = [row["epoch"] for row in survivor.of(trial.trial).epochs]
        if sorted(epochs) != list(range(1, len(epochs) + 1)):
            yield f"trial {trial.trial} has the epochs {epochs}"


def _of_curves(reference: RunRecords, survivor: RunRecords, deterministic: bool) -> Iterator[str]:
    """Every figure is the same to its last bit; under ASHA a trial may have gone further."""
    for trial in reference.trials:
        expected, received = (
            {row["epoch"]: row["metrics"] for row in records.of(trial.trial).epochs}
            for records in (reference, survivor)
        )
        if deterministic and expected.keys() != received.keys():
            yield f"trial {trial.trial} has {len(received)} epochs, not {len(expected)}"
        for epoch in sorted(expected.keys() & received.keys()):
            if repr(expected[epoch]) != repr(received[epoch]):
                yield f"trial {trial.trial}, epoch {epoch}: {received[epoch]}, not {expected[epoch]}"
                break


def _of_endings(survivor: RunRecords, damage: Damage) -> Iterator[str]:
    """Every trial has one final status, said last."""
    lines = read_lines(survivor.folder.trials_file)
    for trial in survivor.trials:
        said = [line.get("status", "started") for line in lines if line["trial"] == trial.trial]
        final = [status for status in said if status not in ("started", "interrupted")]
        # Where a line was torn or taken out, a trial that had ended begins again: what it said before is void.
        if said[-1:] != final[-1:] or (len(final) > 1 and damage == WHOLE):
            yield f"trial {trial.trial} was {', '.join(said)}"


def _of_decisions(survivor: RunRecords) -> Iterator[str]:
    """The scheduler, shown the recorded epochs anew, stops whom it stopped and where it did."""
    if survivor.experiment.get("strategy") == "panda":
        return
    experiment = parse_experiment(survivor.experiment)
    scheduler = make_scheduler(experiment.caviar.scheduler, experiment.epochs, survivor.mode)
    stops: dict[str, int] = {}
    for row in survivor.epochs:
        value = row["metrics"].get(survivor.metric)
        if scheduler.report(row["trial"], row["epoch"], value).stop:
            stops.setdefault(row["trial"], row["epoch"])
    for trial in survivor.trials:
        recorded = (trial.stopped_by or {}).get("epoch")
        last = len(survivor.of(trial.trial).epochs)
        if recorded != stops.get(trial.trial) or last != (recorded or experiment.epochs):
            yield (
                f"trial {trial.trial} {trial.status} after {last} epochs, stopped at {recorded};"
                f" its rungs say {stops.get(trial.trial)}"
            )


def _of_tables(reference: RunRecords, survivor: RunRecords) -> Iterator[str]:
    """The table is the same, but for what the clock says."""
    expected, received = (
        trials_table(records).drop(columns=list(OF_THE_CLOCK), errors="ignore").to_csv()
        for records in (reference, survivor)
    )
    for one, other in zip(expected.splitlines(), received.splitlines(), strict=False):
        if one != other:
            yield f"the table says {other}, not {one}"


def _of_journals(reference: RunRecords, survivor: RunRecords, taken_out: int) -> Iterator[str]:
    """What was asked was done, once, at the same epochs, with the same effects."""

    def done(records: RunRecords) -> list[str]:
        return sorted(_told(entry) for entry in records.journal)

    expected, received = Counter(done(reference)), Counter(done(survivor))
    lost = list((expected - received).elements())
    for entry in lost if len(lost) > taken_out else ():
        yield f"the journal lacks {entry}"
    for entry in (received - expected).elements():
        yield f"the journal has {entry} besides"


def _told(entry: Mapping[str, Any]) -> str:
    """An entry without its name, its time, and when a request that names its day arrived."""
    apart = {"id", "time", "request", "who", "seconds", "bytes", "by"}
    if entry["kind"] == "asked" or entry.get("action") == "note":
        apart |= {"epoch", "day", "stretch"}
    return json.dumps({k: v for k, v in entry.items() if k not in apart}, sort_keys=True)


def _of_winners(reference: RunRecords, survivor: RunRecords, deterministic: bool) -> Iterator[str]:
    """The winner is the table's first, and its scores are the reference's."""
    won = survivor.winner
    if won is None or reference.winner is None:
        return
    [best, *_] = survivor.ranked
    if won["trial"] != best.trial:
        yield f"trial {won['trial']} won, but {best.trial} is the best"
    facts: Sequence[str] = ("trial", "epoch", "metric", "validation", "test", "hyperparameters")
    same = (won["trial"], won["epoch"]) == (reference.winner["trial"], reference.winner["epoch"])
    for fact in facts if same or deterministic else ():
        if won[fact] != reference.winner[fact]:
            yield f"the winner's {fact} is {won[fact]}, not {reference.winner[fact]}"
