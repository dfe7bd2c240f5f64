"""Rounds in an experiment file: how many, how much of the draws stays whole, and what is never widened."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WrapSerializer
from pydantic_core import PydanticCustomError

from orchestrator.fields import AS_LIST, Count, Options, Real, Text

FEWEST_TRIALS = 16
"""What a round has at least, so that its best differ from the rest by more than chance."""
MOST_BY_ITSELF = 3
"""The rounds of ``auto`` at most."""


class RoundsOptions(Options):
    """From coarse to fine: the trials in rounds, each with a space that follows from those before it."""

    number: Count | Literal["auto"] = Field(
        default=1,
        description="How many rounds `num_samples` is split into, evenly, the first ones one trial larger where it"
        " does not divide. `auto`: one for each 16 trials, at most 3.",
    )
    keep: Real = Field(
        default=0.15,
        gt=0,
        le=0.5,
        description="The share of the trials that count as the best: a range is narrowed to their hull.",
    )
    share_of_whole: Real = Field(
        default=0.2,
        ge=0,
        lt=1,
        description="The share of each later round's trials that is still drawn from the whole space.",
    )
    hard: bool | Annotated[tuple[Text, ...], Field(strict=False), AS_LIST] = Field(
        default=False,
        description="`true`: no range is widened beyond the search space. Or the hyperparameters for which that"
        " holds; a single domain says it as `loguniform(1e-4, 1, hard=true)`.",
    )

    def number_of(self, trials: int) -> int:
        """Return how many rounds so many trials have."""
        if self.number == "auto":
            return max(1, min(MOST_BY_ITSELF, trials // FEWEST_TRIALS))
        return self.number

    def fewest_trials(self) -> int:
        """Return how many trials the rounds need."""
        return 1 if self.number in ("auto", 1) else FEWEST_TRIALS * int(self.number)


def _form(written: Any) -> Any:
    """Turn ``rounds: 3`` into ``rounds: {number: 3}``."""
    if isinstance(written, dict | RoundsOptions):
        return written
    if written == "auto" or (isinstance(written, int | float) and not isinstance(written, bool)):
        return {"number": written}
    raise PydanticCustomError(
        "rounds_form", "expected a number of rounds, auto, or options such as {number: 3}"
    )


def _short(options: Any, write: Any) -> Any:
    """Return the short form where it says all."""
    alone = isinstance(options, RoundsOptions) and options == RoundsOptions(number=options.number)
    return options.number if alone else write(options)


WrittenRounds = Annotated[
    RoundsOptions,
    BeforeValidator(_form, json_schema_input_type=RoundsOptions | Count | Literal["auto"]),
    WrapSerializer(_short),
]
"""How a file writes rounds: a number, ``auto``, or a mapping of options."""
