"""What a better score costs: the trials of a run that no other one beats at once in the score and in what it took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.config.metrics import direction_of
from orchestrator.records import Mode
from orchestrator.report.run_summary import RunSummary, TrialSummary

MOST_METRICS = 3
MOST_DRAWN = 2_000
"""Of the trials that others beat: a page has room for ten thousand trials, not for each of them several times."""


@dataclass(frozen=True)
class Offer:
    """A trial with its ``score`` and its ``cost``; ``is_best``: no other one is as good in both and better in one."""

    trial: str
    cost: float
    score: float
    is_best: bool


@dataclass(frozen=True)
class Tradeoff:
    """The score against one ``cost``, of which ``mode`` is better; ``offers`` in the order of their costs."""

    cost: str
    mode: Mode
    offers: tuple[Offer, ...]

    @property
    def front(self) -> tuple[Offer, ...]:
        """The offers that no other one beats in both."""
        return tuple(offer for offer in self.offers if offer.is_best)

    @property
    def beaten(self) -> tuple[Offer, ...]:
        """The others, evenly thinned where there are very many."""
        rest = tuple(offer for offer in self.offers if not offer.is_best)
        return rest[:: 1 + len(rest) // MOST_DRAWN]


def tradeoffs(run: RunSummary) -> tuple[Tradeoff, ...]:
    """Return the score against the seconds of training, the model's parameters, and up to three other metrics.

    Of trials that trained to their end or were stopped, of the newest group; metrics are those of the epoch that a
    trial is judged by, of the validation rows, and which way they are better is known of their names.
    """
    trials = [
        trial
        for trial in run.trials
        if trial.value is not None and trial.is_newest and trial.status in ("finished", "stopped")
    ]
    return tuple(_tradeoffs(run, trials))


def _tradeoffs(run: RunSummary, trials: Sequence[TrialSummary]) -> Iterator[Tradeoff]:
    costs: dict[str, tuple[Mode, list[float | None]]] = {
        "seconds of training": (
            "min",
            [t.curve.seconds[-1] if t.curve.seconds else None for t in trials],
        ),
        "parameters": ("min", [t.parameters for t in trials]),
    }
    for name in _other_metrics(run.metric, trials):
        costs[name] = direction_of(name) or "min", [_at_best(trial, name) for trial in trials]
    for cost, (mode, values) in costs.items():
        known = [
            (t.trial, c, t.value) for t, c in zip(trials, values, strict=True) if c is not None
        ]
        if len({c for _, c, _ in known}) > 1:
            yield Tradeoff(cost, mode, tuple(_offers(known, mode, run.mode)))


def _other_metrics(metric: str, trials: Iterable[TrialSummary]) -> list[str]:
    names = dict.fromkeys(name for trial in trials for name in trial.curve.metrics)
    others = (n for n in names if n.startswith("val_") and n != metric and direction_of(n))
    return list(others)[:MOST_METRICS]


def _at_best(trial: TrialSummary, metric: str) -> float | None:
    values = trial.curve.metrics.get(metric)
    if not values or trial.best_epoch not in trial.curve.epochs:
        return None
    return values[trial.curve.epochs.index(trial.best_epoch)]


def _offers(
    known: Iterable[tuple[str, float, float | None]], cost: Mode, score: Mode
) -> Iterator[Offer]:
    """Yield offers, the cheapest first: one is on the front if it scores better than all that cost less."""
    down, up = (1 if cost == "min" else -1), (1 if score == "max" else -1)
    best: float | None = None
    for trial, spent, value in sorted(
        known, key=lambda each: (down * each[1], -up * (each[2] or 0))
    ):
        if value is None:
            continue
        is_better = best is None or up * value > best
        best = up * value if best is None else max(best, up * value)
        yield Offer(trial, spent, value, is_better)
