"""The sitter itself: shows each rule what happened, and returns what they found and what is to be remembered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.config import SitterOptions
from orchestrator.sitter import branch_and_compare, divergence, overfitting, plateau
from orchestrator.sitter.finding import DayRecord, Finding
from orchestrator.sitter.memory import DaySeen, Memory, number

# What can change without changing what the training loss measures.
_SAME_LOSS = {
    *("learning_rate", "learning_rate_decay", "decay_schedule", "momentum", "one_minus_momentum"),
    *("beta_1", "beta_2", "epsilon", "weight_decay", "batch_size", "batch_norm_momentum"),
}

Seen = tuple[Memory, list[Finding]]
"""What is remembered from now on, and what was found."""


@dataclass(frozen=True)
class Sitter:
    """The rules that watch one model: each is shown what happened and the memory, and gives back both.

    In the mode ``off`` it says nothing. In ``advise`` it says once what it would do. In ``act`` a finding that has an
    action is meant to be done, and is counted against its limit at once: after doing it, go on with what
    ``after_own_rollback`` gives. ``metric_mode`` says whether ``metric`` is better when it is larger.
    ``budget_epochs`` is what ``budget_share`` is a share of; left out, the epochs trained so far.
    """

    options: SitterOptions
    metric: str
    metric_mode: str
    validation_rows: int
    budget_epochs: int | None = None

    def needed_days(self, memory: Memory) -> frozenset[int]:
        """Return the days that a rule may still go back to, day 0 aside: their checkpoints have to stay.

        They are the best day and the last good ones, one more than there may be rollbacks.
        """
        good = [day.day for day in memory.days if day.good]
        best = memory.best_day
        last = good[-1 - self.options.divergence.most_rollbacks :]
        return frozenset({*last, *([best.day] if best else ())})

    def after_epoch(
        self, memory: Memory, metrics: Mapping[str, Any], learning_rate: float | None
    ) -> Seen:
        """Return what an epoch's metrics show; ``learning_rate`` is the one in force (α itself)."""
        said = memory.diverged
        rate = number(learning_rate)
        memory = memory if rate is None else replace(memory, learning_rate=rate)
        memory, found = divergence.look(memory, metrics, self.options.divergence)
        if found is None or self.options.mode == "off":
            return memory, []
        if self.options.mode == "advise":
            return memory, [] if said else [found]
        if found.action == "rollback":
            memory = replace(memory, rollbacks=memory.rollbacks + 1, returned_to=found.to_day)
        return memory, [found]

    def after_day(self, memory: Memory, day: DayRecord) -> Seen:
        """Return what the days up to this one show."""
        memory = self._with(memory, day)
        if day.day == 0:
            return self._plateau_reached(memory)[0], []
        memory, plateaued = self._plateau(memory, day)
        memory, overfits = overfitting.look(memory, day, self.options.overfitting)
        if self.options.mode == "off":
            return memory, []
        return memory, [each for each in (plateaued, overfits) if each is not None]

    def _with(self, memory: Memory, record: DayRecord) -> Memory:
        """Return the memory with one more day; a day that is lived again replaces its old self."""
        loss, value = number(record.metrics.get("loss")), number(record.metrics.get(self.metric))
        rate = number(record.hyperparameters.get("learning_rate"))
        sign = 1.0 if self.metric_mode == "max" else -1.0
        seen = DaySeen(
            day=record.day,
            epoch=record.epoch,
            score=None if value is None else sign * value,
            loss=loss,
            val_loss=number(record.metrics.get("val_loss")),
            good=not memory.diverged and self._learnt(memory, record, loss),
        )
        earlier = tuple(day for day in memory.days if day.day < record.day)
        memory = replace(memory, days=(*earlier, seen), since=min(memory.since, record.day))
        if record.day == 0 and loss is not None:
            memory = replace(memory, first_loss=loss, best_loss=loss)
        return memory if rate is None else replace(memory, learning_rate=rate)

    def _learnt(self, memory: Memory, record: DayRecord, loss: float | None) -> bool:
        """Return whether a day is worth going back to: True where that cannot be told.

        An α far too large can leave a model damaged without a divergence (units that are dead
        never come back), and no smaller α repairs it: a fresh start does.
        """
        days = memory.days
        if record.day == 0 or loss is None or not days or days[0].day != 0 or days[0].loss is None:
            return True
        first = days[0].loss
        return first - loss >= self.options.smallest_fall * abs(first)

    def _plateau_reached(self, memory: Memory) -> tuple[Memory, dict[str, Any] | None]:
        noise = plateau.noise_of(self.metric, self.metric_mode, self.validation_rows)
        return plateau.reached(memory, noise, self.options.patience, self.options.plateau)

    def _plateau(self, memory: Memory, day: DayRecord) -> tuple[Memory, Finding | None]:
        options, acts = self.options, self.options.mode == "act"
        memory, evidence = self._plateau_reached(memory)
        if evidence is None:
            return memory, None
        if options.branch_and_compare is not None:
            budget = day.epoch if self.budget_epochs is None else self.budget_epochs
            offered = branch_and_compare.offer(memory, evidence, options.branch_and_compare, budget)
            if offered is not None:
                paid = branch_and_compare.spent(memory, offered) if acts else memory
                return replace(paid, branched=True), offered
        found = plateau.finding(memory, evidence, options.plateau)
        if acts and found.action == "rollback":
            memory = replace(memory, reductions=memory.reductions + 1)
        return memory, found


def after_change(memory: Memory, names: Iterable[str]) -> Memory:
    """Return the memory after somebody changed hyperparameters: patience begins anew.

    Where that changes what the training loss measures (dropout, label smoothing), the losses before it are forgotten,
    so that the change does not pass for a divergence.
    """
    memory = replace(memory, since=memory.today)
    if set(names) <= _SAME_LOSS:
        return memory
    return replace(memory, best_loss=None, losses=(), diverged=False)


def after_own_rollback(now: Memory, then: Memory) -> Memory:
    """Return the memory ``then``, but with what was spent until ``now``, and with fresh patience.

    For the rollbacks that the sitter asked for: were they forgotten too, there would be no limit to them.
    """
    best = then.best_day
    return replace(
        then,
        reference=best.score if best else then.reference,
        since=then.today,
        diverged=False,
        branched=now.branched,
        returned_to=now.returned_to,
        rollbacks=max(now.rollbacks, then.rollbacks),
        reductions=max(now.reductions, then.reductions),
        branched_epochs=max(now.branched_epochs, then.branched_epochs),
    )
