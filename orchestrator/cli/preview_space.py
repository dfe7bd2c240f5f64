"""A space as lines of a preview, and numbers of things in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from orchestrator.domains import Space
from orchestrator.domains.values import Condition
from orchestrator.redaction import redact


def space_lines(space: Space, width: int) -> Iterator[str]:
    """Yield a hyperparameter a line, its domain beside it, and more lines where that is long."""
    margin = max((len(name) for name in space.names), default=0)
    for name, domain in space.domains.items():
        when = f"  when {_conditions(domain.when)}" if domain.when else ""
        yield from textwrap.wrap(
            redact(f"{name:<{margin}}  {domain}{when}"),
            width,
            initial_indent="  ",
            subsequent_indent=" " * (margin + 6),
            break_on_hyphens=False,
        )


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return " and ".join(
        f"{condition.name} is {' or '.join(str(value) for value in condition.values)}"
        for condition in conditions
    )


def count(number: int, noun: str) -> str:
    """Return ``1 day`` or ``3 days``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
