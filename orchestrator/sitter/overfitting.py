"""Overfitting: validation worsens while training improves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pydantic import Field

from orchestrator.fields import Count, Real
from orchestrator.sitter.rule import (
    DayRecord,
    DaySeen,
    Finding,
    Looked,
    Memory,
    RuleOptions,
    Watched,
    number,
)

RULE = "overfitting"
MOST_DROPOUT = 0.5
FIRST_WEIGHT_DECAY = 1e-4


class OverfittingOptions(RuleOptions):
    """When validation worsens while training improves; the sitter only ever advises on it."""

    patience: Count = Field(
        default=2,
        description="Days in a row on which the validation loss rises while the training loss falls. This only "
        "leads to advice, never to an action.",
    )
    smallest_rise: Real = Field(
        default=0.02,
        ge=0,
        description="The validation loss must be above its best by more than this share.",
    )

    def after_day(self, memory: Memory, day: DayRecord, watched: Watched) -> Looked:
        """Return the memory, and a finding if the last ``patience`` days overfit.

        They do if on each of them the validation loss rose and the training loss fell (the criterion
        UP of Prechelt 1998, "Early Stopping - But When?", which is less easily misled than one rise),
        and the validation loss is above its best by more than ``smallest_rise`` of it (his criterion
        GL, against rises within the noise). It is said once, and again after it has passed.

        Nothing is ever done about it: how much dropout or weight decay is a matter of taste and
        dropout rebuilds the model. The suggested values are a step, not an optimum.
        """
        days = memory.days[-self.patience - 1 :]
        evidence = _evidence(days, memory, self)
        if evidence is None:
            return replace(memory, overfitting=False), None
        if memory.overfitting:
            return memory, None
        changes = _more_regularisation(day.hyperparameters)
        names = " and ".join(f"{name} {value:.3g}" for name, value in changes.items())
        text = (
            f"The validation loss has risen for {self.patience} days while the training loss fell:"
            f" it overfits. Try {names}."
        )
        return replace(memory, overfitting=True), Finding(RULE, text, evidence, changes=changes)


def _evidence(
    days: tuple[DaySeen, ...], memory: Memory, options: OverfittingOptions
) -> dict[str, Any] | None:
    losses = [day.loss for day in days if day.loss is not None]
    validation = [day.val_loss for day in days if day.val_loss is not None]
    if len(losses) <= options.patience or len(validation) <= options.patience:
        return None
    falling = all(after < before for before, after in pairwise(losses))
    rising = all(after > before for before, after in pairwise(validation))
    best = min(day.val_loss for day in memory.days if day.val_loss is not None)
    if not (falling and rising and validation[-1] - best > options.smallest_rise * abs(best)):
        return None
    return {
        "days": options.patience,
        "loss_before": losses[0],
        "loss": losses[-1],
        "val_loss_before": validation[0],
        "val_loss": validation[-1],
        "best_val_loss": best,
    }


def _more_regularisation(hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """Return a step up in dropout, where the model has it, and in weight decay otherwise."""
    dropout = number(hyperparameters.get("dropout"))
    if dropout is not None and dropout < MOST_DROPOUT:
        return {"dropout": min(MOST_DROPOUT, round(dropout + 0.1, 6))}
    decay = number(hyperparameters.get("weight_decay"))
    return {"weight_decay": decay * 3 if decay else FIRST_WEIGHT_DECAY}
