"""The sitter: the table of its rules, the options that follow from it, and what shows each rule what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WrapSerializer, create_model
from pydantic_core import PydanticCustomError

from orchestrator.fields import Count, Options, Real
from orchestrator.sitter.branch_and_compare import BranchAndCompareOptions
from orchestrator.sitter.divergence import DivergenceOptions
from orchestrator.sitter.overfitting import OverfittingOptions
from orchestrator.sitter.plateau import PlateauOptions
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

RULES: dict[str, type[RuleOptions]] = {
    "divergence": DivergenceOptions,
    "plateau": PlateauOptions,
    "overfitting": OverfittingOptions,
    "branch_and_compare": BranchAndCompareOptions,
}
"""Each is a key of ``panda.sitter``, shown what happens in this order."""

MODES = ("off", "advise", "act")
# What can change without changing what the training loss measures.
_SAME_LOSS = {
    *("learning_rate", "learning_rate_decay", "decay_schedule", "momentum", "one_minus_momentum"),
    *("beta_1", "beta_2", "epsilon", "weight_decay", "batch_size", "batch_norm_momentum"),
}

Seen = tuple[Memory, list[Finding]]
"""What is remembered from now on, and what was found."""


class _Settings(Options):
    """What the sitter does with what it sees, and from when on it sees something."""

    mode: Literal["off", "advise", "act"] = Field(
        default="advise", description="`advise`: say what to do. `act`: do it. `off`: neither."
    )
    patience: Count = Field(
        default=3, description="After this many days without a gain there is a plateau."
    )
    smallest_fall: Real = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="A day's training loss must be below the untrained model's by this share. Otherwise the "
        "model learned nothing, and a rollback goes to day 0.",
    )

    @property
    def rules(self) -> dict[str, RuleOptions]:
        """The rules that look, by name."""
        found = {name: getattr(self, name) for name in RULES}
        return {name: rule for name, rule in found.items() if rule is not None}


def _field_of(kind: type[RuleOptions]) -> tuple[Any, Any]:
    """Return the type and the default of a rule's options among the sitter's."""
    about = (kind.__doc__ or "").partition("\n")[0]
    if kind.ON:
        return kind, Field(default_factory=kind, description=about)

    def read(written: Any) -> Any:
        if written is None or written == "off":
            return None
        if written == "on":
            return {}
        if not isinstance(written, dict | kind):
            expected = f"expected off, on, or options such as {_example(kind)}"
            raise PydanticCustomError("rule_form", expected)  # type: ignore[arg-type]
        return written

    switched = Annotated[
        kind | None,  # type: ignore[valid-type]
        BeforeValidator(read, json_schema_input_type=Literal["off", "on"] | kind),
        WrapSerializer(lambda options, write: "off" if options is None else write(options)),
    ]
    return switched, Field(default=None, description=f"off, on, or its options. {about}")


def _example(kind: type[RuleOptions]) -> str:
    """Return the first of a rule's options as a file writes it."""
    name, field = next(iter(kind.model_fields.items()))
    default = field.get_default(call_default_factory=True)
    if isinstance(default, tuple):
        default = f"[{', '.join(f'{each:g}' for each in default)}]"
    return f"{{{name}: {default}}}"


if TYPE_CHECKING:
    SitterOptions = _Settings
else:
    SitterOptions = create_model(
        "SitterOptions",
        __base__=_Settings,
        __module__=__name__,
        __doc__=_Settings.__doc__,
        **{name: _field_of(kind) for name, kind in RULES.items()},
    )


def _sitter_form(written: Any) -> Any:
    """Turn ``sitter: act`` into ``sitter: {mode: act}``."""
    if isinstance(written, str):
        if written not in MODES:
            raise PydanticCustomError(
                "unknown_name", "unknown mode of the sitter", {"known": MODES, "name": written}
            )
        return {"mode": written}
    if not isinstance(written, dict | SitterOptions):
        raise PydanticCustomError(
            "sitter_form",
            "expected off, advise, act, or options such as {mode: act, patience: 3}",
        )
    return written


WrittenSitter = Annotated[
    SitterOptions,
    BeforeValidator(
        _sitter_form, json_schema_input_type=Literal["off", "advise", "act"] | SitterOptions
    ),
]
"""The sitter's options as an experiment file writes them: a mode, or a mapping."""


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
        """Return the days that a rule may still go back to, day 0 aside: their checkpoints have to stay."""
        best = memory.best_day
        needed = [rule.needed_days(memory) for rule in self.options.rules.values()]
        return frozenset([best.day] if best else []).union(*needed)

    def after_epoch(
        self, memory: Memory, metrics: Mapping[str, Any], learning_rate: float | None
    ) -> Seen:
        """Return what an epoch's metrics show; ``learning_rate`` is the one in force (α itself)."""
        rate = number(learning_rate)
        memory = memory if rate is None else replace(memory, learning_rate=rate)
        return self._shown(memory, lambda rule, now: rule.after_epoch(now, metrics, self._watched))

    def after_day(self, memory: Memory, day: DayRecord) -> Seen:
        """Return what the days up to this one show."""
        memory = self._with(memory, day)
        return self._shown(memory, lambda rule, now: rule.after_day(now, day, self._watched))

    @property
    def _watched(self) -> Watched:
        acts, patience = self.options.mode == "act", self.options.patience
        about = (self.metric, self.metric_mode, self.validation_rows)
        return Watched(*about, patience, acts, self.budget_epochs)

    def _shown(self, memory: Memory, look: Callable[[RuleOptions, Memory], Looked]) -> Seen:
        """Have each rule look; count what is done against its limits."""
        findings: list[Finding] = []
        for rule in self.options.rules.values():
            memory, found = look(rule, memory)
            if found is not None:
                memory, found = self._first_tried(memory, found)
                findings.append(found)
        if self.options.mode == "off":
            return memory, []
        moving = next((each for each in findings if each.action != "none"), None)
        if self.options.mode == "act" and moving is not None and moving.action != "stop":
            memory = self.options.rules[moving.rule].done(memory, moving)
        return memory, findings

    def _first_tried(self, memory: Memory, found: Finding) -> tuple[Memory, Finding]:
        """Return what another rule has tried instead of a finding, where there is such a rule."""
        for rule in self.options.rules.values():
            memory, other = rule.instead_of(memory, found, self._watched)
            if other is not None:
                return memory, other
        return memory, found

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
            learning_rate=rate,
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
        counts={**then.counts, **now.counts},
        branched_epochs=max(now.branched_epochs, then.branched_epochs),
    )
