"""Branch and compare: try a few learning rates for a short stretch, keep the best."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import Field

from orchestrator.fields import AS_LIST, Count, Real
from orchestrator.sitter import plateau
from orchestrator.sitter.rule import Finding, Looked, Memory, RuleOptions, Watched

RULE = "branch_and_compare"
Factors = Annotated[
    tuple[Annotated[Real, Field(gt=0)], ...], Field(strict=False, min_length=2), AS_LIST
]


class BranchAndCompareOptions(RuleOptions):
    """On a plateau, try a few learning rates for a short stretch and keep the best."""

    ON: ClassVar[bool] = False

    factors: Factors = Field(
        default=(0.3, 1.0, 3.0), description="The learning rates to try, as multiples of α."
    )
    epochs: Count = Field(default=1, description="How many epochs each is tried for.")
    budget_share: Real = Field(
        default=0.2,
        gt=0,
        le=1,
        description="The largest share of the panda's epochs that all such trials together may take.",
    )

    def instead_of(self, memory: Memory, found: Finding, watched: Watched) -> Looked:
        """Ask for branches on a plateau, where they may be tried.

        They may if that costs, with what earlier ones did, at most ``budget_share`` of the epochs
        that the model is to train, and once between two gains: a second try from the same weights
        would say the same. Exploiting the best of a few perturbed copies is one step of Population Based Training
        (Jaderberg et al. 2017, arXiv:1711.09846) with α alone.
        """
        if found.rule != plateau.RULE or memory.branched or memory.learning_rate is None:
            return memory, None
        budget = watched.budget_epochs
        allowed = self.budget_share * (memory.days[-1].epoch if budget is None else budget)
        if memory.branched_epochs + self._cost > allowed:
            return memory, None
        return replace(memory, branched=True), self._offer(memory, found, allowed)

    def done(self, memory: Memory, found: Finding) -> Memory:
        """Pay for the branches."""
        return replace(memory, branched_epochs=memory.branched_epochs + self._cost)

    @property
    def _cost(self) -> int:
        return len(self.factors) * self.epochs

    def _offer(self, memory: Memory, found: Finding, allowed: float) -> Finding:
        seen, now = found.evidence, memory.learning_rate or 0.0
        rates = tuple(now * factor for factor in self.factors)
        return Finding(
            RULE,
            f"No gain for {seen['days_without_gain']} days: from day {seen['best_day']} on, try"
            f" learning rates {', '.join(f'{rate:.4g}' for rate in rates)},"
            f" {self.epochs} epoch{'' if self.epochs == 1 else 's'} each.",
            {
                **seen,
                "factors": list(self.factors),
                "cost_epochs": self._cost,
                "spent_epochs": memory.branched_epochs,
                "allowed_epochs": allowed,
            },
            action="branch_and_compare",
            to="best",
            to_day=seen["best_day"],
            candidates=rates,
            epochs=self.epochs,
        )


@dataclass(frozen=True)
class Kept:
    """The factor whose branch is kept, and the numbers that decided it."""

    factor: float
    evidence: Mapping[str, Any]


def keep_best(losses: Mapping[float, Sequence[float]], standard_errors: float = 1.0) -> Kept:
    """Return which factor's branch is kept, from each branch's losses on the same validation rows.

    ``losses[factor][i]`` is the loss of row i. The branch that goes on unchanged (factor 1; the
    first one where it is missing) is kept unless another's mean loss is lower by more than
    ``standard_errors`` standard errors of their paired difference: the rows are the same, so what
    makes a row hard cancels, and se = sd(differences)/√n (the paired t statistic, Student 1908;
    for comparing learners: Dietterich 1998, Neural Computation 10). Among several the lowest mean
    is taken. A branch with a loss that is not finite has diverged and is out; if all have, the
    smallest factor is kept.

    Raises ``ValueError`` where there is no branch or the branches were not judged on the same rows.
    """
    if not losses or len({len(each) for each in losses.values()}) != 1:
        raise ValueError("expected one loss for each validation row from every branch")
    rows = len(next(iter(losses.values())))
    sound = {factor: each for factor, each in losses.items() if each and _finite(each)}
    if not sound:
        return Kept(min(losses), {"rows": rows, "diverged": sorted(losses)})
    reference = next(factor for factor in (1.0, *losses) if factor in sound)
    branches = {factor: _compared(each, sound[reference]) for factor, each in sound.items()}
    better = [
        factor
        for factor, seen in branches.items()
        if seen["difference"] < -standard_errors * seen["standard_error"]
    ]
    kept = min(better, key=lambda factor: branches[factor]["mean_loss"], default=reference)
    return Kept(
        kept,
        {
            "rows": rows,
            "reference": reference,
            "branches": {f"{factor:g}": seen for factor, seen in branches.items()},
            "diverged": sorted(set(losses) - set(sound)),
        },
    )


def _finite(losses: Sequence[float]) -> bool:
    return math.isfinite(sum(losses))


def _compared(losses: Sequence[float], reference: Sequence[float]) -> dict[str, float]:
    n = len(losses)
    differences = [mine - other for mine, other in zip(losses, reference, strict=True)]
    mean = sum(differences) / n
    squares = sum((each - mean) * (each - mean) for each in differences)
    error = math.sqrt(squares / (n - 1) / n) if n > 1 else math.inf
    return {"mean_loss": sum(losses) / n, "difference": mean, "standard_error": error}
