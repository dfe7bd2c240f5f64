"""What a run came to, in sentences: the lines below the table and ``orchestrator show``."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from orchestrator.records import RunRecords, model_is_as_saved, options_of
from orchestrator.redaction import redact
from orchestrator.report.analysis_text import hint_lines
from orchestrator.report.formatting import assignments, clock, minute, number, printable
from orchestrator.report.journal_text import why_ended
from orchestrator.report.race_text import race_lines
from orchestrator.report.tables import score, winning_trial
from orchestrator.report.winner_text import corrected_lines, quality_lines


def winner_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return the winner, its scores and hyperparameters, and the few things that stand out."""
    groups = group_lines(records, width)
    name = winning_trial(records)
    lines = [*groups, *ended_lines(records, width), *race_lines(records, width)]
    if name is None:
        which = f"no trial of group {records.state.group}" if groups else "no trial"
        return [*lines, f"No winner: {which} has a finite {records.metric}."]
    winner = records.winner
    lines += _declared(records, winner, width) if winner else _best_so_far(records, name, width)
    trial = records.trial(name)
    if trial is not None:
        same = winner is not None and winner.get("trial") == name
        chosen = winner.get("hyperparameters") if winner and same else None
        text = f"hyperparameters: {assignments(chosen or trial.hyperparameters)}"
        lines += _wrapped(text, width)
    for said in (records.manifest.get("task") or {}).get("said", []):
        lines += _wrapped(printable(said), width)
    return [*lines, *hint_lines(records, width)]


def ended_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return why a babysat model ended before its days were over, and each of its branches that did."""
    if records.panda is None:
        return []
    lines = []
    for trial in records.trials:
        why = printable(why_ended(records, trial))
        if why:
            name = f"Branch {trial.trial}: " if trial.is_branch else ""
            text = f"{name}{why}" if name else f"{why[0].upper()}{why[1:]}"
            lines += textwrap.wrap(redact(text), width, subsequent_indent="  ")
    return lines


def group_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return what sets each group of trials apart from the one before it, where there are several."""
    lines = []
    for group, unlike in records.state.groups.items():
        trials = sum(trial.group == group for trial in records.trials)
        text = (
            f"Group {group} ({_count(trials, 'trial')}) cannot be compared with group {group - 1}:"
            f" {printable('; '.join(unlike))}."
        )
        lines += textwrap.wrap(text, width, subsequent_indent="  ")
    return lines


def _trained(experiment: Mapping[str, Any]) -> str:
    """Return what trials are made of, in a few words."""
    if experiment.get("trial"):
        return str(experiment["trial"])
    return f"{_source(experiment.get('model'))} on {_source(experiment.get('data'))}"


def show_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return a run at a glance: what it was, how far it came, what failed, who won."""
    experiment = records.experiment
    again = f" and {_count(len(records.replicates), 'replicate')}" if records.replicates else ""
    effort = (
        f"{_count(len(records.trials), 'trial')}{again}, {_count(len(records.epochs), 'epoch')}"
    )
    lines = [
        f"{records.name}: {records.status}, {effort} in {clock(records.seconds)}",
        *_wrapped(
            f"{experiment.get('strategy', 'caviar')} of {_trained(experiment)};"
            f" {records.metric}, {records.mode}; "
            f"{_length(experiment)}",
            width,
        ),
        f"  folder: {records.folder.path}",
        *_state_lines(records, width),
    ]
    statuses = Counter(trial.status for trial in records.trials)
    if statuses:
        counts = ", ".join(f"{count} {status}" for status, count in statuses.most_common())
        lines.append(f"  trials: {counts}")
    if records.state.rounds > 1:
        lines += _wrapped(f"rounds: {_in_rounds(records)}; 'orchestrator rounds' says why", width)
    lines += [
        line for extension in records.state.extensions for line in _extended(extension, width)
    ]
    lines += _sitter(records, width)
    return [*lines, *_failures(records, width), *winner_lines(records, width)]


def _in_rounds(records: RunRecords) -> str:
    """Return how many trials each round has begun."""
    counts = Counter(
        records.state.round_of(trial.trial) for trial in records.trials if not trial.is_branch
    )
    trials = ", ".join(str(counts[number]) for number in range(1, records.state.rounds + 1))
    return f"{records.state.rounds}, of {trials} trials"


def _length(experiment: Mapping[str, Any]) -> str:
    panda = options_of(experiment, "panda")
    if panda is not None and "days" in panda:
        return f"{_count(panda['days'], 'day')} of {panda.get('day', '1 epoch')}"
    return f"up to {_count(experiment.get('epochs', '?'), 'epoch')} a trial"


def _sitter(records: RunRecords, width: int) -> list[str]:
    """Return what a babysat run's sitter did, and apart from it what it only advised."""
    did: Counter[str] = Counter()
    advised: Counter[str] = Counter()
    for entry in records.journal:
        if entry["kind"] == "advice":
            (did if entry.get("done") else advised)[str(entry.get("rule"))] += 1
    parts = [
        f"{what}: {', '.join(f'{rule} {count}' for rule, count in counts.most_common())}"
        for what, counts in (("acted on", did), ("only advised", advised))
        if counts
    ]
    return _wrapped(f"sitter {'; '.join(parts)}", width) if parts else []


def _extended(extension: Mapping[str, Any], width: int) -> list[str]:
    said = [
        f"{key} {old} -> {new}" if key != "search_space" else "another search_space"
        for key, (old, new) in extension["changes"].items()
    ]
    changes = printable(", ".join(said)) or "nothing but a new group"
    return _wrapped(f"extended: {changes}", width)


def _state_lines(records: RunRecords, width: int) -> list[str]:
    """Return since when a run that is not finished stands as it does, and why; of a finished one why it ended early."""
    stands = records.standing
    if stands.state == "finished":
        return _wrapped(f"ended early, {printable(stands.reason)}", width) if stands.reason else []
    if stands.since is None:
        return []
    why = f": {printable(stands.reason)}" if stands.reason else ""
    return _wrapped(f"{stands.state} since {minute(stands.since)}{why}", width)


def _declared(records: RunRecords, winner: dict[str, Any], width: int) -> list[str]:
    metric = records.metric
    lines = [f"Winner: trial {winner['trial']}, epoch {winner['epoch']}"]
    value = score(winner.get("validation") or {}, metric)
    if value is not None:
        lines.append(f"  {metric}: {number(value)}")
    lines += corrected_lines(records, width)
    test = winner.get("test") or {}
    if test:
        scores = ", ".join(f"{name} {number(value)}" for name, value in test.items())
        lines += _wrapped(f"test: {scores}", width)
    lines += _averages(winner, metric, width)
    lines += quality_lines(records, width)
    if winner.get("not_saved"):
        return [*lines, *_not_saved(records, winner, width)]
    if not model_is_as_saved(records):
        path = records.folder.path
        return [*lines, f"  model: gone or damaged: orchestrator resume {path} saves it again"]
    if not records.has_keras_models:
        return lines  # of a function's trial there are its hyperparameters alone
    return [*lines, f"  model: {records.folder.best / 'model.keras'}"]


def _averages(winner: Mapping[str, Any], metric: str, width: int) -> list[str]:
    """Return which averages of BatchNormalization the winner has, and what the others gave, where both were tried."""
    anew = winner.get("recalibrated", True)  # an older record has the figures before it alone
    other = "before" if anew else "after"
    scores = winner.get(f"validation_{other}_recalibration") or {}
    if not scores or ("recalibrated" not in winner and scores == winner.get("validation")):
        return []
    test = winner.get(f"test_{other}_recalibration") or {}
    values = [(metric, score(scores, metric)), ("test", score(test, metric))]
    gave = ", ".join(f"{name} {number(value)}" for name, value in values if value is not None)
    kept, others = ("recalibrated", "as trained") if anew else ("as trained", "recalibrated")
    return _wrapped(f"batch norm: {kept}{f' ({others}: {gave})' if gave else ''}", width)


def _not_saved(records: RunRecords, winner: dict[str, Any], width: int) -> list[str]:
    """Return why there is no model file, whole, and what there is."""
    lines = _wrapped(f"model: not saved: {printable(winner['not_saved'])}", width)
    weights = records.folder.best / "model.weights.h5"
    if weights.is_file():
        lines += [f"  weights: {weights}"]
        lines += _wrapped("run.load_model() and predict build the model around them.", width)
    return lines


def _best_so_far(records: RunRecords, name: str, width: int = 80) -> list[str]:
    best = records.of(name).best
    if best is None:
        return []
    return [
        f"Best so far: trial {name}, epoch {best.epoch}",
        f"  {records.metric}: {number(best.value)}",
        *corrected_lines(records, width),
    ]


def _failures(records: RunRecords, width: int, at_most: int = 5) -> list[str]:
    failed = [trial for trial in records.trials if trial.status == "failed"]
    lines = []
    for trial in failed[:at_most]:
        file = f" ({trial.error_file})" if trial.error_file else ""
        text = f"  {trial.trial} failed: {printable(trial.error or 'no error was recorded')}"
        room = max(width - len(file), 20)
        lines.append((text if len(text) <= room else text[: room - 1] + "…") + file)
    if len(failed) > at_most:
        lines.append(f"  and {len(failed) - at_most} more failed")
    return lines


def _source(value: Any) -> str:
    return printable(str(value.get("source") if isinstance(value, dict) else value))


def _count(number_of: Any, noun: str) -> str:
    return f"{number_of} {noun}" if number_of == 1 else f"{number_of} {noun}s"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(redact(text), width, initial_indent="  ", subsequent_indent="    ")
