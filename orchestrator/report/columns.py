"""The columns of the trials' table: a column is one function, whose docstring is its legend.

To add one: write the function (row in, value out; None where there is nothing to say) and add
its line to HEAD or TAIL. The hyperparameters stand between the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.records import RecordedTrial, RunRecords, TrialRecord
from orchestrator.report.formatting import COMPLEMENT, number, shown_name
from orchestrator.report.journal_text import why_ended
from orchestrator.report.race_text import outcome
from orchestrator.search.race import Estimate


@dataclass(frozen=True)
class Row:
    """What a column may look at: one trial, the run around it, the bounds it sits at, and what its replicates gave."""

    records: RunRecords
    trial: TrialRecord
    edges: Mapping[str, str]
    estimate: Estimate | None = None

    @property
    def recorded(self) -> RecordedTrial:
        """What the run's records say of the trial."""
        return self.records.of(self.trial.trial)


def trial(row: Row) -> str:
    """Name of the trial: its number in the order of drawing."""
    return row.trial.trial


def group(row: Row) -> int:
    """Group of comparable trials, in a run that has several; those of the newest come first."""
    return row.trial.group


def round_(row: Row) -> int:
    """Round that the trial belongs to, in a run that has several."""
    return row.records.state.round_of(row.trial.trial)


def status(row: Row) -> str:
    """finished, stopped (by the scheduler), failed, diverged, interrupted or running."""
    return row.trial.status


def best(row: Row) -> float | None:
    """Best finite value of the metric over the trial's epochs; the table is sorted by it."""
    found = row.recorded.best
    return found.value if found else None


def best_epoch(row: Row) -> int | None:
    """Epoch of the best value; on ties the one of the lower validation loss, then the first."""
    found = row.recorded.best
    return found.epoch if found else None


def mean(row: Row) -> float | None:
    """Mean of the best values of the configuration's replicates; the trial itself is none of them."""
    return row.estimate.mean if row.estimate else None


def sd(row: Row) -> float | None:
    """Spread of the replicates' best values: their standard deviation."""
    return row.estimate.sd if row.estimate else None


def low(row: Row) -> float | None:
    """Lower end of the interval for the mean over ever more seeds, at the race's confidence."""
    return row.estimate.low if row.estimate else None


def high(row: Row) -> float | None:
    """Upper end of that interval."""
    return row.estimate.high if row.estimate else None


def replicates(row: Row) -> int | None:
    """Replicates that trained to their ends, each with a seed of its own."""
    return row.estimate.replicates if row.estimate else None


def race(row: Row) -> str | None:
    """Place of the configuration in the race: winner, tied, lost, or dropped (why, where replicates failed)."""
    return outcome(row.records, row.trial.trial)


def p_best(row: Row) -> float | None:
    """Probability of the configuration to be the best, among those that were left at the end of the race."""
    chances = (row.records.state.race_result or {}).get("chances") or {}
    return chances.get(row.trial.trial)


def repeats(row: Row) -> str | None:
    """Trial whose hyperparameters a replicate has."""
    return row.trial.repeats


def seed(row: Row) -> int:
    """Seed of the weights and the order of batches; the k-th replicates of all configurations share theirs."""
    return row.trial.seed


def last(row: Row) -> float | None:
    """Metric after the last epoch."""
    rows = row.recorded.epochs
    return rows[-1]["metrics"].get(row.records.metric) if rows else None


def epochs(row: Row) -> int:
    """Epochs trained."""
    return len(row.recorded.epochs)


def seconds(row: Row) -> float | None:
    """Wall-clock seconds from the trial's start to its end."""
    return row.trial.seconds


def stopped_by(row: Row) -> str | None:
    """Who stopped the trial, at which epoch, with what value against what cutoff (= where a tie was lost)."""
    stop = row.trial.stopped_by
    if not stop:
        return None
    if stop.get("scheduler") == "panda":
        return why_ended(row.records, row.trial).removeprefix("stopped ")
    did = " did not promote it" if stop.get("paused") else ""
    text = f"{stop.get('scheduler', 'scheduler')}{did} at epoch {stop.get('epoch', '?')}"
    value, cutoff = stop.get("value"), stop.get("cutoff")
    if value is None or cutoff is None:
        return text
    sign = "=" if value == cutoff else "<" if row.records.mode == "max" else ">"
    return f"{text}: {number(value)} {sign} {number(cutoff)}"


def is_copy(trial: TrialRecord) -> bool:
    """Return whether a trial is a copy in a population: a branch of a babysat one began at the end of a day."""
    return trial.is_branch and trial.origin is not None and trial.origin.get("day") is None


def copy_of(row: Row) -> str | None:
    """Of which trial it is a changed copy (scheduler pbt), and after how many epochs: those are that trial's."""
    origin = row.trial.origin if is_copy(row.trial) else None
    return f"{origin['trial']} after {origin['epoch']}" if origin else None


def at_edge(row: Row) -> str | None:
    """Which hyperparameters of a leading trial sit at a bound of their domain."""
    return ", ".join(f"{name} {end}" for name, end in row.edges.items()) or None


def parameters(row: Row) -> int | None:
    """Parameters of the model."""
    return row.trial.parameters


def path(row: Row) -> str | None:
    """How the trial trained: the compiled epoch, or Keras's fit with the reason why."""
    if row.trial.path_reason:
        return f"{row.trial.path}: {row.trial.path_reason}"
    return row.trial.path


def failure(row: Row) -> str | None:
    """Kind of failure: error, out_of_memory, worker_died, node_lost, timeout or disk."""
    return row.trial.failure


def attempts(row: Row) -> int | None:
    """How often the trial was begun: 1, or more where its worker was lost."""
    return row.trial.attempts


def error(row: Row) -> str | None:
    """First line of what a failed trial raised."""
    return row.trial.error


def error_file(row: Row) -> str | None:
    """Where the whole error lies, relative to the run's folder."""
    return row.trial.error_file


Column = Callable[[Row], Any]

OF_RACE = ("race", "mean_{metric}", "sd", "low", "high", "replicates", "p_best")
"""Columns of a run whose best were trained again."""
OF_COPIES = ("copy_of",)
"""Columns of a run in which trials began from others' states."""
OF_REPLICATES = ("repeats", "seed")
"""Columns of a table of all replicates."""

HEAD: tuple[tuple[str, Column], ...] = (
    ("trial", trial),
    ("group", group),
    ("round", round_),
    ("repeats", repeats),
    ("seed", seed),
    ("status", status),
    ("race", race),
    ("mean_{metric}", mean),
    ("sd", sd),
    ("low", low),
    ("high", high),
    ("replicates", replicates),
    ("p_best", p_best),
    ("best_{metric}", best),
    ("best_epoch", best_epoch),
    ("last_{metric}", last),
    ("epochs", epochs),
    ("seconds", seconds),
    ("stopped_by", stopped_by),
    ("copy_of", copy_of),
    ("at_edge", at_edge),
    ("parameters", parameters),
)
TAIL: tuple[tuple[str, Column], ...] = (
    ("path", path),
    ("failure", failure),
    ("attempts", attempts),
    ("error", error),
    ("error_file", error_file),
)


def legend(metric: str) -> dict[str, str]:
    """Return what each column says, by its name in the table."""
    columns = (*HEAD, *TAIL)
    return {name.format(metric=metric): column.__doc__ or "" for name, column in columns}


def hyperparameter_columns(records: RunRecords) -> Iterator[tuple[str, Column]]:
    """Yield a column for each hyperparameter, in the space's order; 1-β follows β.

    One whose name is already a column's (say, a hyperparameter called ``epochs``) is shown as
    ``hyperparameter_epochs``.
    """
    # In a run without replicates a hyperparameter may be called seed, or low, as before.
    of_replicates = set() if records.replicates else {*OF_RACE, *OF_REPLICATES, *OF_COPIES}
    taken = legend(records.metric).keys() - of_replicates
    for name in _names(records):
        shown = shown_name(name)
        yield (f"hyperparameter_{shown}" if shown in taken else shown), _reader(name)


def _names(records: RunRecords) -> list[str]:
    declared = records.space.names if records.space else ()
    used = [name for trial in records.trials for name in trial.hyperparameters]
    seen = dict.fromkeys(used)
    plain = [name for name in dict.fromkeys([*declared, *used]) if name in seen]
    complements = {
        name for name in plain if name != shown_name(name) and name.removeprefix(COMPLEMENT) in seen
    }
    ordered = []
    for name in plain:
        if name not in complements:
            ordered.append(name)
        if COMPLEMENT + name in complements:
            ordered.append(COMPLEMENT + name)
    return ordered


def _reader(name: str) -> Column:
    return lambda row: row.trial.hyperparameters.get(name)
