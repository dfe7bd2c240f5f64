"""What stands out in a run, and what to type next: a table of rules, each a function of the records.

To add one: write the function (case in, findings out; none where it has nothing to say) and its line in ``RULES``.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import chain, takewhile
from statistics import fmean, stdev

from orchestrator.analysis import next_steps, patterns
from orchestrator.analysis.case import LEADERS, Case, Finding
from orchestrator.analysis.compared import baseline_of, number, score_among
from orchestrator.analysis.regions import STEP, divergence, edge, high_rate
from orchestrator.domains import LogUniform
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.score import score_of
from orchestrator.schedulers import SCHEDULERS, SchedulerOptions
from orchestrator.schedulers.scheduler import UNKNOWN, score
from orchestrator.search.diagonal import RATE
from orchestrator.search.evidence import percent

STILL_RISING = 0.05
"""A curve still rises if its last third gained this share of all it gained."""
LOSS_ROSE = 0.1
"""A trial overfits if its validation loss rose by this share of its lowest."""
SMALL_BATCH = 8
"""ResNet-50 with BatchNormalization: 23.6 % errors with 32 rows a mini-batch, 24.8 with 8, 27.3 with 4, 34.7 with 2
(Wu & He, "Group Normalization", 2018, table 2)."""
BATCH = "batch_size"
REPLAYED = ("asha", "median", "percentile")
"""Schedulers whose decision about a whole rung is a function of its values."""


def guessing(case: Case) -> Iterator[Finding]:
    """Find a winner that does not beat the best guess that looks at no feature."""
    best, guessed = case.best, baseline_of(case.records)
    found = case.records.of(best.trial).best if best else None
    if found is None or guessed is None:
        return
    value = score_among((case.records.winner or {}).get("validation") or {}, case.metric)
    value = found.value if value is None else value
    if value > guessed if case.records.mode == "max" else value < guessed:
        return
    yield Finding(
        "guessing",
        f"the winner's {case.metric} {value:.4g} is no better than guessing, which gives {guessed:.4g}:"
        " look at the learning rate, the number of epochs and the scale of the features",
        f"orchestrator show {shlex.quote(str(case.records.folder.path))}",
        {"value": value, "guessing": guessed},
    )


def rising(case: Case) -> Iterator[Finding]:
    """Find the best trials' curves still rising at their last epoch."""
    better = case.full[
        : max(LEADERS, len(case.full) // 2)
    ]  # those that learned little move otherwise
    noise = patterns.movement(case.curve(trial, case.metric) for trial in better or case.leaders)
    gains = [(trial, patterns.rise(_signed(case, trial), noise)) for trial in case.leaders]
    strong = [(trial, gain) for trial, gain in gains if gain is not None and gain >= STILL_RISING]
    if not strong or 2 * len(strong) <= len(gains):
        return
    epochs = max(len(case.curve(trial, case.metric)) for trial in case.leaders)
    first = strong[0][0]
    values = case.curve(first, case.metric)
    before = values[-1 - max(1, len(values) // 3)]
    who = "the model" if case.is_panda else f"trial {first.trial}"
    of = f", as do {len(strong)} of the best {len(gains)}" if len(gains) > 1 else ""
    yield Finding(
        "rising",
        f"curves still rise at epoch {epochs}: the last third of {who} took {case.metric} from {before:.4g} to"
        f" {values[-1]:.4g}{of}: train for more epochs",
        _longer(case, epochs),
        {
            "epochs": epochs,
            "rising": len(strong),
            "of": len(gains),
            "gained_shares": [g for _, g in strong],
        },
    )


def _longer(case: Case, epochs: int) -> str:
    """Return the command for twice as many epochs; a cosine's first epochs would be others, so that is another run."""
    panda = case.records.panda
    if panda is not None:
        return next_steps.extend(case.records, days=f"+{panda.get('days') or 1}")
    if any(
        trial.hyperparameters.get("decay_schedule") == "cosine" for trial in case.records.trials
    ):
        return next_steps.run_again(case.records, "longer", f"epochs={2 * epochs}")
    return next_steps.extend(case.records, epochs=str(2 * epochs))


def _signed(case: Case, trial: TrialRecord) -> list[float]:
    sign = 1.0 if case.records.mode == "max" else -1.0
    return [sign * value for value in case.curve(trial, case.metric)]


def overfitting(case: Case) -> Iterator[Finding]:
    """Find the best trials' validation loss rising while their training loss falls."""
    found = []
    for trial in case.leaders:
        curves = case.curve(trial, "loss"), case.curve(trial, "val_loss")
        overfit = patterns.overfit(*curves, LOSS_ROSE)
        found += [(trial, overfit)] if overfit else []
    if not found or 2 * len(found) <= len(case.leaders):
        return
    trial, worst = found[0]
    who = (
        "it overfits" if case.is_panda else f"{len(found)} of the best {len(case.leaders)} overfit"
    )
    yield Finding(
        "overfitting",
        f"{who}: val_loss of {trial.trial} rose from {worst.lowest:.4g} (epoch {worst.epoch}) to {worst.now:.4g} while"
        f" its training loss fell from {worst.training_then:.4g} to {worst.training_now:.4g}: regularize",
        _regularized(case, max(each.epoch for _, each in found)),
        {"trial": trial.trial, "overfit": len(found), "of": len(case.leaders), **asdict(worst)},
    )


def _regularized(case: Case, epoch: int) -> str:
    """Return the command for trials with (more) weight decay; for shorter ones where a builder compiled the model."""
    records = case.records
    task = records.manifest.get("task")
    if records.experiment.get("trial") or (isinstance(task, dict) and task.get("compiled_by_user")):
        return next_steps.run_again(records, "shorter", f"epochs={epoch + 1}")
    if case.is_panda:
        return f"orchestrator set {records.folder.path} weight_decay=1e-4"
    known = case.space.domains.get("weight_decay") if case.space else None
    wider = next_steps.with_wider(known, "upper") if known else None
    domain = wider or LogUniform(1e-5, 1e-1)
    return next_steps.extend_space(records, "weight_decay", domain)


def noise(case: Case) -> Iterator[Finding]:
    """Find leaders that differ by less than the validation rows can tell apart."""
    scores = [case.records.of(trial.trial).best for trial in case.records.contenders]
    values = [score.value for score in scores if score]
    rows = case.rows("validation")
    raced = (
        case.records.state.race_result is not None
    )  # fresh seeds have told the leaders apart, or could not
    if len(values) < LEADERS or rows is None or "accuracy" not in case.metric or raced:
        return
    # Two more right and two more wrong: without them a share of 1 would have no noise (Agresti & Coull, 1998).
    shares = [(value * rows + 2) / (rows + 4) for value in values]
    errors = [patterns.difference_noise(shares[0], share, (rows, rows)) for share in shares]
    level = [
        abs(values[0] - value) <= error
        for value, error in zip(values, errors, strict=True)
        if error is not None
    ]
    count = len(list(takewhile(bool, level[1:]))) + 1 if level else 0
    if count < LEADERS:
        return
    error = errors[count - 1] or 0.0
    yield Finding(
        "noise",
        f"the best {number(count, 'trial')} differ by {abs(values[0] - values[count - 1]):.2g} at most, within one"
        f" standard error ({error:.2g}) of a difference on {rows} validation rows: their order may be chance",
        f"orchestrator verify {shlex.quote(str(case.records.folder.path))}",
        {"trials": count, "standard_error": error, "validation_rows": rows},
    )


def seeds(case: Case) -> Iterator[Finding]:
    """Find finalists whose own seeds differ by more than they differ from one another."""
    state = case.records.state
    result = state.race_result
    if result is None or result.get("verdict") == "best":
        return
    scores: dict[str, list[float]] = {}
    for trial in result.get("order") or ():
        again = (state.score_of(each.trial) for each in state.replicates_of(trial))
        scores[trial] = [score.value for score in again if score]
    several = {trial: values for trial, values in scores.items() if len(values) > 1}
    if len(several) < 2:
        return
    spread = fmean(stdev(values) for values in several.values())
    means = [fmean(values) for values in several.values()]
    first, most = next(iter(several)), max(map(len, several.values()))
    if max(means) - min(means) > spread:
        return
    yield Finding(
        "seeds",
        f"seeds disagree: trial {first} came out between {min(several[first]):.4g} and {max(several[first]):.4g} with"
        f" {len(several[first])} seeds (standard deviation {spread:.2g} over all finalists), while the means of"
        f" {len(means)} finalists differ by {max(means) - min(means):.2g}: take the cheapest, or more seeds",
        f"orchestrator verify {shlex.quote(str(case.records.folder.path))} --seeds {2 * most}",
        {"standard_deviation": spread, "means": dict(zip(several, means, strict=True))},
    )


def batch_norm(case: Case) -> Iterator[Finding]:
    """Find mini-batches too small for BatchNormalization's mean and variance: they fall behind, or have one row."""
    ranking = case.ranking
    if ranking is None or not case.has_batch_norm:
        return
    rank = {
        each.index: (rank, each.hyperparameters[BATCH])
        for each, rank in zip(ranking.judged, ranking.ranks, strict=True)
        if isinstance(each.hyperparameters.get(BATCH), int)
    }
    small = [place for place, size in rank.values() if size <= SMALL_BATCH]
    others = [place for place, size in rank.values() if size > SMALL_BATCH]
    chance = patterns.behind_chance(small, others) if small and others else 1.0
    if chance <= patterns.LEVEL:
        sizes = sorted({size for _, size in rank.values() if size <= SMALL_BATCH})
        yield Finding(
            "batch_norm",
            f"{number(len(small), 'trial')} with mini-batches of {_words(sizes)} rows fall behind larger ones"
            f" (by chance in {percent(chance)}): BatchNormalization's mean and variance of so few rows are noise",
            next_steps.constrain(case.records, f"{BATCH} > {SMALL_BATCH}"),
            {"trials": len(small), "sizes": sizes, "chance": chance},
        )
    yield from _batches_of_one(case, {size for _, size in rank.values()})


def _batches_of_one(case: Case, sizes: set[int]) -> Iterator[Finding]:
    rows = case.rows("train")
    lone = sorted(size for size in sizes if rows and size > 1 and rows % size == 1)
    if not lone or rows is None:
        return
    yield Finding(
        "batch_norm",
        f"with {BATCH} {_words(lone)} the last mini-batch of the {rows} training rows has one row, whose variance is"
        " 0: BatchNormalization learns nothing from it and its moving averages take it in",
        next_steps.constrain(case.records, " and ".join(f"{BATCH} != {size}" for size in lone)),
        {"sizes": lone, "training_rows": rows},
    )


def _words(values: Iterable[int]) -> str:
    texts = [str(value) for value in values]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def grace(case: Case) -> Iterator[Finding]:
    """Find a best trial that was behind at a rung, and went on only since few had come there by then.

    Replayed on the recorded curves with all trials side by side, so that each rung is known as a whole.
    """
    written = _scheduler_of(case)
    full = [trial.trial for trial in case.full]
    if written is None or len(full) < 2:
        return
    name, options = written
    stops = _stopped_side_by_side(case, options)
    late, early = full[0], [trial for trial in full if trial not in stops]
    stopped = sum((t.stopped_by or {}).get("scheduler") == name for t in case.records.trials)
    if late not in stops or stopped < LEADERS or not _is_clearly_better(case, late, early[:1]):
        return
    epoch = stops[late]
    values = sorted(
        (
            score(each.values[epoch], case.records.mode)
            for each in case.seen
            if epoch in each.values
        ),
        reverse=True,
    )
    seen = next(each for each in case.seen if each.index == case.records.state.trials[late].index)
    place = values.index(score(seen.values[epoch], case.records.mode)) + 1
    longer = _long_enough(case, options, late)
    yield Finding(
        "grace",
        f"trial {late}, the best of the {number(len(full), 'trial')} that trained to the end, had place {place} of"
        f" {len(values)} at epoch {epoch}, where {name} would have stopped it had all been there by then;"
        f" {number(stopped, 'other')} did stop: judge them later",
        next_steps.extend(
            case.records,
            num_samples=next_steps.more_trials(case.records),
            scheduler=_written(name, options.model_copy(update={"grace_period": longer})),
        ),
        {"trial": late, "epoch": epoch, "place": place, "of": len(values), "grace_period": longer},
    )


def _scheduler_of(case: Case) -> tuple[str, SchedulerOptions] | None:
    """Return the scheduler of a caviar that has a grace period and judges whole rungs; None for any other."""
    written = (case.records.caviar or {}).get("scheduler")
    if not isinstance(written, dict) or len(written) != 1:
        return None
    [(name, options)] = written.items()
    if name not in REPLAYED or not isinstance(options, dict):
        return None
    return name, SCHEDULERS[name].model_validate(options)


def _stopped_side_by_side(case: Case, options: SchedulerOptions) -> dict[str, int]:
    """Return the trials that would have been stopped, and after which epoch, had all trained side by side."""
    records = case.records
    epochs = int(records.experiment.get("epochs") or 1)
    update = {"promote": False} if "promote" in type(options).model_fields else {}
    scheduler = options.model_copy(update=update).make(epochs, records.mode)
    rows = sorted(
        (row["epoch"], trial.index, trial.trial, row)
        for trial in records.trials
        for row in records.of(trial.trial).own_epochs
        if trial.group == records.state.group
    )
    stopped: dict[str, int] = {}
    for epoch in scheduler.milestones:
        for at, _, trial, row in rows:
            if at == epoch and trial not in stopped:
                found = score_of(row, records.metric, records.mode)
                scheduler.report(
                    trial, at, found.value if found else None, found.ties if found else UNKNOWN
                )
        decided = scheduler.review(epoch)
        stopped |= {trial: epoch for trial, d in decided.items() if d.stop and trial not in stopped}
    return stopped


def _is_clearly_better(case: Case, trial: str, others: Sequence[str]) -> bool:
    """Return whether a trial beats another by more than the noise, where that is known."""
    best = [case.records.of(name).best for name in (trial, *others)]
    values = [found.value for found in best if found]
    if len(values) < 2:
        return True
    rows = case.rows("validation")
    known = "accuracy" in case.metric
    error = patterns.difference_noise(values[0], values[1], (rows, rows)) if known else None
    return abs(values[0] - values[1]) > (error or 0.0)


def _long_enough(case: Case, options: SchedulerOptions, trial: str) -> int:
    """Return the shortest grace period, of twice, four times … the one there was, that lets a trial through."""
    epochs = int(case.records.experiment.get("epochs") or 1)
    factor = int(getattr(options, "reduction_factor", 2))
    period = int(getattr(options, "grace_period", 1)) * factor
    while period < epochs:
        longer = options.model_copy(update={"grace_period": period})
        if trial not in _stopped_side_by_side(case, longer):
            return period
        period *= factor
    return epochs


def _written(name: str, options: SchedulerOptions) -> str:
    return json.dumps({name: options.model_dump(exclude_defaults=True)})


Judge = Callable[[Case], Iterator[Finding]]
RULES: Mapping[str, Judge] = {
    "guessing": guessing,
    "divergence": divergence,
    "high_rate": high_rate,
    "edge": edge,
    "rising": rising,
    "overfitting": overfitting,
    "grace": grace,
    "batch_norm": batch_norm,
    "seeds": seeds,
    "noise": noise,
}
"""The rules, and the order in which what they find matters."""


def diagnose(records: RunRecords) -> tuple[Finding, ...]:
    """Return what stands out in a run, what matters most first."""
    case = Case(records)
    found = tuple(chain.from_iterable(rule(case) for rule in RULES.values()))
    # The best may lie at the end beyond which others diverge: that end is to be moved in, not out.
    left_out = {_end_of(each) for each in found if each.rule in ("divergence", "high_rate")}
    return tuple(each for each in found if each.rule != "edge" or _end_of(each) not in left_out)


def _end_of(found: Finding) -> tuple[str, bool]:
    """Return the hyperparameter and whether it is its upper end that a finding is about; of SGD's step it is α's."""
    about = found.evidence
    name = str(about["hyperparameter"])
    return RATE if name == STEP else name, about.get("side") == "upper" or about.get(
        "end"
    ) == "high"
