"""A sitter and its memory side by side, as a panda has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.sitter import (
    DayRecord,
    Finding,
    Memory,
    Sitter,
    after_change,
    after_own_rollback,
    from_plain,
    to_plain,
)


class Watching:
    """Watches one model; its memory is given and taken as JSON has it."""

    def __init__(self, *rules: Any, **options: Any) -> None:
        self._sitter = Sitter(*rules, **options)
        self._memory = Memory()

    @property
    def memory(self) -> dict[str, Any]:
        return to_plain(self._memory)

    @property
    def needed_days(self) -> frozenset[int]:
        return self._sitter.needed_days(self._memory)

    def remember(self, memory: Mapping[str, Any]) -> None:
        self._memory = from_plain(memory)

    def return_to(self, memory: Mapping[str, Any]) -> None:
        self._memory = after_own_rollback(self._memory, from_plain(memory))

    def changed(self, names: Iterable[str]) -> None:
        self._memory = after_change(self._memory, names)

    def after_epoch(self, row: Mapping[str, Any], learning_rate: float | None) -> list[Finding]:
        self._memory, found = self._sitter.after_epoch(self._memory, row, learning_rate)
        return found

    def after_day(self, day: DayRecord) -> list[Finding]:
        self._memory, found = self._sitter.after_day(self._memory, day)
        return found
