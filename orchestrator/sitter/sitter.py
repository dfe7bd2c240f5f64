"""The sitter itself: shows what it is shown to each rule, and keeps their one memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.config import SitterOptions
from orchestrator.sitter import branch_and_compare, divergence, overfitting, plateau
from orchestrator.sitter.finding import DayRecord, Finding
from orchestrator.sitter.memory import DaySeen, Memory, from_plain, number, to_plain

# What can change without changing what the training loss measures.
_SAME_LOSS = {
    *("learning_rate", "learning_rate_decay", "decay_schedule", "momentum", "one_minus_momentum"),
    *("beta_1", "beta_2", "epsilon", "weight_decay", "batch_size", "batch_norm_momentum"),
}


class Sitter:
    """Watches one model.

    In the mode ``off`` it says nothing. In ``advise`` it says once what it would do. In ``act`` a
    finding that has an action is meant to be done, and is counted against its limit at once: after
    doing it, call ``return_to`` with the memory of the day gone back to.
    ``budget_epochs`` is what ``budget_share`` is a share of; left out, the epochs trained so far.
    """

    def __init__(
        self,
        options: SitterOptions,
        metric: str,
        mode: str,
        validation_rows: int,
        budget_epochs: int | None = None,
    ) -> None:
        self._options = options
        self._metric = metric
        self._sign = 1.0 if mode == "max" else -1.0
        self._noise = plateau.noise_of(metric, mode, validation_rows)
        self._budget_epochs = budget_epochs
        self._memory = Memory()

    @property
    def memory(self) -> dict[str, Any]:
        """Everything that later findings depend on, as JSON has it."""
        return to_plain(self._memory)

    @property
    def needed_days(self) -> frozenset[int]:
        """The days that a rule may still go back to, day 0 aside: their checkpoints have to stay.

        They are the best day and the last good ones, one more than there may be rollbacks.
        """
        good = [day.day for day in self._memory.days if day.good]
        best = self._memory.best_day
        last = good[-1 - self._options.divergence.most_rollbacks :]
        return frozenset({*last, *([best.day] if best else ())})

    def remember(self, memory: Mapping[str, Any]) -> None:
        """Go on as the sitter whose ``memory`` this is: after a resume, or a human's rollback."""
        self._memory = from_plain(memory)

    def return_to(self, memory: Mapping[str, Any]) -> None:
        """Go back to ``memory``, but with what was spent since then, and with fresh patience.

        For the rollbacks that the sitter asked for: were they forgotten too, there would be no
        limit to them.
        """
        now, then = self._memory, from_plain(memory)
        best = then.best_day
        self._memory = replace(
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

    def changed(self, names: Iterable[str]) -> None:
        """Take note that someone changed hyperparameters: patience begins anew.

        Where that changes what the training loss measures (dropout, label smoothing), the losses
        before it are forgotten, so that the change does not pass for a divergence.
        """
        self._memory = replace(self._memory, since=self._memory.today)
        if not set(names) <= _SAME_LOSS:
            self._memory = replace(self._memory, best_loss=None, losses=(), diverged=False)

    def after_epoch(self, row: Mapping[str, Any], learning_rate: float | None) -> list[Finding]:
        """Return what an epoch's metrics show; ``learning_rate`` is the one in force (α itself)."""
        said = self._memory.diverged
        rate = number(learning_rate)
        memory = self._memory if rate is None else replace(self._memory, learning_rate=rate)
        memory, found = divergence.look(memory, row, self._options.divergence)
        self._memory = memory
        if found is None or self._options.mode == "off":
            return []
        if self._options.mode == "advise":
            return [] if said else [found]
        if found.action == "rollback":
            self._memory = replace(memory, rollbacks=memory.rollbacks + 1, returned_to=found.to_day)
        return [found]

    def after_day(self, day: DayRecord) -> list[Finding]:
        """Return what the days up to this one show."""
        self._memory = self._with(day)
        if day.day == 0:
            self._memory = plateau.reached(
                self._memory, self._noise, self._options.patience, self._options.plateau
            )[0]
            return []
        found = [self._plateau(day), self._overfitting(day)]
        if self._options.mode == "off":
            return []
        return [each for each in found if each is not None]

    def _with(self, record: DayRecord) -> Memory:
        """Return the memory with one more day; a day that is lived again replaces its old self."""
        memory, metrics = self._memory, record.metrics
        loss, value = number(metrics.get("loss")), number(metrics.get(self._metric))
        rate = number(record.hyperparameters.get("learning_rate"))
        seen = DaySeen(
            day=record.day,
            epoch=record.epoch,
            score=None if value is None else self._sign * value,
            loss=loss,
            val_loss=number(metrics.get("val_loss")),
            good=not memory.diverged and self._learnt(record, loss),
        )
        earlier = tuple(day for day in memory.days if day.day < record.day)
        memory = replace(memory, days=(*earlier, seen), since=min(memory.since, record.day))
        if record.day == 0 and loss is not None:
            memory = replace(memory, first_loss=loss, best_loss=loss)
        return memory if rate is None else replace(memory, learning_rate=rate)

    def _learnt(self, record: DayRecord, loss: float | None) -> bool:
        """Return whether a day is worth going back to: True where that cannot be told.

        An α far too large can leave a model damaged without a divergence (units that are dead
        never come back), and no smaller α repairs it: a fresh start does.
        """
        days = self._memory.days
        if record.day == 0 or loss is None or not days or days[0].day != 0 or days[0].loss is None:
            return True
        first = days[0].loss
        return first - loss >= self._options.smallest_fall * abs(first)

    def _plateau(self, day: DayRecord) -> Finding | None:
        options, acts = self._options, self._options.mode == "act"
        memory, evidence = plateau.reached(
            self._memory, self._noise, options.patience, options.plateau
        )
        self._memory = memory
        if evidence is None:
            return None
        if options.branch_and_compare is not None:
            budget = day.epoch if self._budget_epochs is None else self._budget_epochs
            offered = branch_and_compare.offer(memory, evidence, options.branch_and_compare, budget)
            if offered is not None:
                paid = branch_and_compare.spent(memory, offered) if acts else memory
                self._memory = replace(paid, branched=True)
                return offered
        found = plateau.finding(memory, evidence, options.plateau)
        if acts and found.action == "rollback":
            self._memory = replace(memory, reductions=memory.reductions + 1)
        return found

    def _overfitting(self, day: DayRecord) -> Finding | None:
        self._memory, found = overfitting.look(self._memory, day, self._options.overfitting)
        return found
