"""What happens by itself: the learning-rate test before day 1, the sitter after an epoch, the end of a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RecordError
from orchestrator.sitter import DayRecord, Finding, learning_rates, suggest
from orchestrator.training.panda.comparing import compare_branches
from orchestrator.training.range_test import losses_at

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession

_RATE_TEST = "learning_rate_test"
_NOTHING_FOUND = "found no rate at which the loss clearly fell"
_NOT_POSSIBLE = "was not possible, since the model has an optimizer of its own"


class Care:
    """Watches over one panda."""

    def __init__(self, panda: PandaSession) -> None:
        self._panda = panda

    @property
    def acts(self) -> bool:
        """Return whether the sitter may act: what it does is done with the learning rate."""
        fixed = self._panda.trainer.why_rate_is_fixed
        return self._panda.nursery.sitter.mode == "act" and fixed is None

    def tell_what_cannot_be_done(self) -> None:
        """Say once that the model's learning rate is its builder's own affair, where the panda relies on it."""
        panda = self._panda
        fixed = panda.trainer.why_rate_is_fixed
        nursery = panda.nursery
        if fixed is None or not (nursery.sitter.mode == "act" or nursery.learning_rate_test):
            return
        panda.note(
            "advice",
            rule="learning_rate",
            suggests=f"the sitter only advises, and no learning rate is tried: {fixed}",
            changes={},
            evidence={},
        )

    def test_learning_rate(self) -> None:
        """Find a starting α by a range test; the model is put back exactly as it was."""
        panda = self._panda
        if not panda.nursery.learning_rate_test or panda.memory.tested:
            return
        if panda.trainer.why_rate_is_fixed is not None:
            return  # as tell_what_cannot_be_done says
        panda.memory.tested = True
        before = panda.checkpoint()
        rates = learning_rates()
        losses = losses_at(panda.trainer, rates)
        panda.trainer.resume(before)
        found = suggest(rates, losses)
        old = panda.trainer.hyperparameters["learning_rate"]
        if found is None:
            why = _NOTHING_FOUND if losses else _NOT_POSSIBLE
            facts = {"changes": {}, "evidence": {}, "done": False}
            said = f"{why}; it trains with learning_rate {old:.4g}"
            panda.note("advice", rule=_RATE_TEST, suggests=said, **facts)
            return
        used = panda.nursery.uses_tested_rate
        kept = "" if used else f"; it trains with {old:.4g}, as panda.start says"
        panda.note(
            "advice",
            rule=_RATE_TEST,
            suggests=f"start with learning_rate {found.learning_rate:.3g}{kept}",
            changes={"learning_rate": [old, found.learning_rate]},
            evidence=found.evidence,
            done=used,
        )
        if used:
            by = f"sitter:{_RATE_TEST}" if self.acts else _RATE_TEST
            panda.change({"learning_rate": found.learning_rate}, by=by)

    def show_day_0(self) -> None:
        """Show the sitter the untrained model, against which a first epoch is judged."""
        panda = self._panda
        metrics = panda.trainer.evaluate("train")
        validation = panda.trainer.evaluate("validation")
        metrics |= {f"val_{name}": value for name, value in validation.items()}
        panda.sitter.after_day(self._day(panda.memory.day, metrics))

    def after_epoch(self, row: Mapping[str, Any]) -> bool:
        """Let the sitter look at an epoch; return whether it took the panda somewhere else."""
        panda = self._panda
        alpha = panda.trainer.hyperparameters.get("learning_rate")
        return any([self._heed(found) for found in panda.sitter.after_epoch(row["metrics"], alpha)])

    def end_day(self, row: Mapping[str, Any]) -> bool:
        """Close the day: its checkpoint, its line in the journal, what changes did, the sitter's look.

        Returns whether the sitter took the panda somewhere else.
        """
        panda = self._panda
        memory = panda.memory
        seconds = memory.seconds_today
        memory.new_day()
        metrics = dict(row["metrics"])
        memory.days.append({"day": memory.day, "epoch": panda.trainer.epoch, "metrics": metrics})
        findings = panda.sitter.after_day(self._day(memory.day, metrics))
        bytes_kept = panda.end_of_day()
        panda.note(
            "day",
            metrics=metrics,
            hyperparameters=panda.chosen,
            checkpoint=str(panda.days.file(memory.day).relative_to(panda.goal.checkpoints.parent)),
            bytes=bytes_kept,
            seconds=seconds,
        )
        self._tell_effects(row)
        went_elsewhere = any(self._heed(finding) for finding in findings)
        panda.days.prune(panda.memory.day, panda.sitter.needed_days)
        return went_elsewhere

    def _day(self, day: int, metrics: Mapping[str, Any]) -> DayRecord:
        trainer = self._panda.trainer
        return DayRecord(day, trainer.epoch, metrics, dict(trainer.hyperparameters))

    def _tell_effects(self, row: Mapping[str, Any]) -> None:
        panda = self._panda
        for effect in panda.memory.effects:
            panda.note("effect", **effect, after=row["metrics"].get(effect["metric"]))
        panda.memory.effects = []

    def _heed(self, finding: Finding) -> bool:
        """Journal what the sitter found and, where it may act, do it; return whether the panda went back."""
        panda = self._panda
        in_force = panda.trainer.hyperparameters
        done = self.acts and finding.action != "none"
        panda.note(
            "advice",
            rule=finding.rule,
            suggests=finding.text,
            changes={name: [in_force.get(name), value] for name, value in finding.changes.items()},
            evidence=finding.evidence,
            done=done,
        )
        if not done:
            return False
        by = f"sitter:{finding.rule}"
        if finding.action == "stop":
            panda.note("verdict", rule=finding.rule, text=finding.verdict or finding.text)
            panda.ending = "stopped"
            return True
        if finding.action == "branch_and_compare":
            compare_branches(panda, finding)
            return True
        try:
            panda.return_by_sitter(int(finding.to_day or 0), by)
        except RecordError as error:  # that day's end is gone from the run's folder
            panda.note("refused", request=None, action="rollback", reason=str(error))
            return False
        if finding.changes:
            panda.change(finding.changes, by=by)
        return True
