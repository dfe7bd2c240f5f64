"""Code that says itself what its hyperparameters may be, while it runs, and is answered: with a trial's values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.domains import Choice, Domain, Fixed, Integer, LogInteger, LogUniform, Uniform
from orchestrator.errors import TrialError, explain

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9_]+")


class Reported(BaseException):
    """Raised where code that is run for its questions alone would report. It passes ``except Exception``."""


class Answers(Protocol):
    """Who answers code that asks for a hyperparameter."""

    def value(self, name: str, domain: Domain) -> Any:
        """Return a value of ``domain`` for ``name``; the same again where that was asked for before."""


def plain_name(name: str) -> str:
    """Return a hyperparameter's name as a search space has it: ``cell/units`` is ``cell_units``."""
    plain = _NOT_PLAIN.sub("_", str(name)).strip("_")
    return plain if plain[:1].isalpha() else f"p_{plain}"


def float_domain(low: float, high: float, step: float | None, log: bool) -> Any:
    """Return the domain of a number between two ends, which later rounds do not move."""
    low, high = float(low), float(high)
    if step is not None and step > high - low:
        return Fixed(low)
    if log:
        return LogUniform(low, high, hard=True)
    return Uniform(low, high, step, hard=True)


def int_domain(low: int, high: int, step: int | None, log: bool) -> Any:
    """Return the domain of a whole number between two ends, which later rounds do not move."""
    step = None if step in (None, 1) else step
    if step is not None and step > high - low:
        return Fixed(int(low))
    if log:
        return LogInteger(low, high, hard=True)
    return Integer(low, high, step, hard=True)


def choice_of(options: Any) -> tuple[Choice, dict[Any, Any]]:
    """Return the domain of a list's options, and the option behind each of its values.

    What no file can hold, a tuple or a function, goes by its text. Raises InvalidDomain for no options, or one twice.
    """
    plain = (str, int, float, bool, type(None))
    named = [(each if isinstance(each, plain) else repr(each), each) for each in options]
    return Choice(tuple(value for value, _ in named)), {_key(value): o for value, o in named}


def option_behind(value: Any, options: Mapping[Any, Any]) -> Any:
    """Return the option that a value of ``choice_of`` stands for."""
    return options[_key(value)]


def _key(value: Any) -> Any:
    return (isinstance(value, bool), value)


@dataclass(frozen=True)
class Drawn:
    """Answers with a trial's hyperparameters; ``where`` begins its messages."""

    hyperparameters: Mapping[str, Any]
    where: str

    def value(self, name: str, domain: Domain) -> Any:
        """Return the trial's value. Raises TrialError where it has none, or one that ``domain`` does not have."""
        plain = plain_name(name)
        if plain not in self.hyperparameters:
            expected = (
                "expected to be asked for hyperparameters that were found before the run, beside these values of the"
                " others; one that is asked for at random, or only after training has begun, is not"
            )
            raise TrialError(explain(self.where, expected, name, self.hyperparameters))
        value = self.hyperparameters[plain]
        if not domain.contains(value):
            expected = f"expected {name} to be asked for from the range found before the run, that of {value!r}"
            raise TrialError(explain(self.where, expected, str(domain)))
        return value
