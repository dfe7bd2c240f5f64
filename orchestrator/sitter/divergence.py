"""Divergence: the loss has run away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.config import DivergenceOptions
from orchestrator.sitter.finding import Finding
from orchestrator.sitter.memory import Memory, number
from orchestrator.sitter.noise import deviation_around_trend

RULE = "divergence"


def look(
    memory: Memory, metrics: Mapping[str, Any], options: DivergenceOptions
) -> tuple[Memory, Finding | None]:
    """Return what is remembered after an epoch, and a finding if its loss has diverged.

    It has if ``loss`` or ``val_loss`` is NaN or infinite, or if ``loss`` is above its best by more
    than the largest of: (``loss_factor`` - 1) times the best, ``sigmas`` standard deviations of the
    last ``window`` losses around their line, and ``smallest_rise`` times the first loss. The first
    is Keras's TerminateOnNaN made to see trouble before it is NaN; the second is the three-sigma
    limit of Shewhart's control chart (1931), so that a noisy loss may be noisy; the third is ours,
    since a loss of 0.002 after one of 0.001 is no reason to go back a day.

    What is done about it, a smaller α from an earlier checkpoint on, is what Zhang et al. 2022
    (OPT, arXiv:2205.01068, section 2.5) did by hand when their loss diverged.
    """
    limit, evidence = _limit(memory, options)
    loss = number(metrics.get("loss"))
    broken = [
        name for name in ("loss", "val_loss") if name in metrics and _broken(metrics.get(name))
    ]
    shown = loss if loss is not None else _text(metrics.get("loss"))
    evidence = {"loss": shown, **evidence, "not_finite": broken}
    if broken or (loss is not None and limit is not None and loss > limit):
        memory = replace(memory, diverged=True)
        return memory, _finding(memory, evidence, options)
    return _remembered(memory, loss, options.window), None


def _broken(value: Any) -> bool:
    return value is not None and number(value) is None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:20]


def _limit(memory: Memory, options: DivergenceOptions) -> tuple[float | None, dict[str, Any]]:
    if memory.best_loss is None or memory.first_loss is None:
        return None, {}
    sigma = deviation_around_trend(memory.losses)
    rise = max(
        (options.loss_factor - 1) * abs(memory.best_loss),
        options.sigmas * sigma,
        options.smallest_rise * abs(memory.first_loss),
    )
    limit = memory.best_loss + rise
    return limit, {"best_loss": memory.best_loss, "sigma": sigma, "limit": limit}


def _remembered(memory: Memory, loss: float | None, window: int) -> Memory:
    if loss is None:
        return memory
    best = loss if memory.best_loss is None else min(loss, memory.best_loss)
    first = loss if memory.first_loss is None else memory.first_loss
    losses = (*memory.losses, loss)[-window:]
    return replace(memory, first_loss=first, best_loss=best, losses=losses, diverged=False)


def _finding(memory: Memory, evidence: dict[str, Any], options: DivergenceOptions) -> Finding:
    evidence = {**evidence, "rollbacks": memory.rollbacks}
    broken = evidence["not_finite"]
    if broken:
        what = f"{' and '.join(broken)} not finite"
    else:
        what = f"loss {evidence['loss']:.4g} above {evidence['limit']:.4g}"
    if memory.rollbacks >= options.most_rollbacks:
        best = memory.best_day
        return Finding(
            RULE,
            f"Diverged ({what}) after {memory.rollbacks} rollbacks: stop.",
            evidence,
            action="stop",
            to="best",
            to_day=best.day if best else memory.last_good_day,
            verdict=f"It diverged ({what}) after {memory.rollbacks} rollbacks to a smaller"
            " learning rate; start from a much smaller one, or look at the data and the model.",
        )
    rate = _scaled(memory.learning_rate, options.learning_rate_factor)
    lower = f" with learning rate {rate:.4g}" if rate is not None else ""
    return Finding(
        RULE,
        f"Diverged ({what}): back to day {memory.last_good_day}{lower}.",
        evidence,
        action="rollback",
        to="last_good_day",
        to_day=memory.last_good_day,
        changes={} if rate is None else {"learning_rate": rate},
    )


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
