"""The reports in what a program prints: JSON lines, or numbers that regular expressions find."""

from __future__ import annotations

import contextlib
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import TrialError, explain, shortened
from orchestrator.trials.reporting import NOT_METRICS, Metrics, is_number, metric_value

LONGEST_LINE = 1_000_000
"""Bytes of a line that may be a report."""
_NOT_JSON = re.compile(r"(?<=[:\s])([-+]?)(nan|inf)(?:inity)?(?=\s*[,}])", re.IGNORECASE)
"""How C and others print numbers that are none."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """How a program's output is read.

    Without ``metrics``, a line that is a JSON object with metrics is a part of a report. ``metrics`` are regular
    expressions, each of which finds its number once an epoch, ``epoch`` the number of the epoch. ``first`` is what the
    program calls its first epoch.
    """

    metrics: Mapping[str, str] = field(default_factory=dict)
    epoch: str | None = None
    first: int = 1


class AheadOfReports(Exception):
    """A program went on from a state beyond what it had reported."""


class ReportReader:
    """Makes reports of what a program prints."""

    def __init__(self, where: str, metric: str, form: Format, reported: int | None = None) -> None:
        """Begin; ``reported`` are the epochs up to a state that it may go on from, None where it keeps none."""
        self._where = where
        self._reported = reported
        self._metric = metric
        self._form = form
        self._patterns = {name: re.compile(text) for name, text in form.metrics.items()}
        self._epoch_pattern = re.compile(form.epoch) if form.epoch else None
        self._line = bytearray()
        self._pending: Metrics = {}
        self._told: int | None = None
        self._last: int | None = None
        self.reports: deque[tuple[int, Metrics]] = deque()
        self.fault: Exception | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is a report, or something that is none, which counts once the reports before it are taken."""
        return bool(self.reports) or self.fault is not None

    def take(self, printed: bytes) -> None:
        """Take in what was printed; a progress bar's returns end lines too."""
        printed = printed.replace(b"\r", b"\n")
        if not self._patterns and b"{" not in printed and b"{" not in self._line:
            printed = (
                printed[printed.rfind(b"\n") + 1 :] or b""
            )  # a flood of lines of which none is a report
            self._line.clear()
        *lines, rest = printed.split(b"\n")
        try:
            for line in lines if self.fault is None else []:
                self._take_line(line)
        except (TrialError, AheadOfReports) as fault:
            self.fault = fault
        self._keep(rest)

    def _keep(self, rest: bytes) -> None:
        if len(self._line) <= LONGEST_LINE:
            self._line += rest

    def _take_line(self, end: bytes) -> None:
        self._keep(end)
        if 0 < len(self._line) <= LONGEST_LINE:
            line = self._line.decode(errors="replace")
            self._match(line) if self._patterns else self._parse(line)
        self._line.clear()

    def end(self) -> None:
        """Take in the last line where no line break follows it; half a report is a fault."""
        begun = self._line.decode(errors="replace").strip()
        self.take(b"\n")
        if self.fault is not None:
            return
        if not self._patterns and begun.startswith("{") and _object(begun) is None:
            said = explain(self._where, "expected whole reports", shortened(begun))
            self.fault = TrialError(said)
        elif self._pending:
            absent = [n for n in self._patterns or (self._metric,) if n not in self._pending]
            expected = f"expected {', '.join(absent)} of each epoch"
            self.fault = TrialError(explain(self._where, expected, sorted(self._pending)))

    def _parse(self, line: str) -> None:
        """Take a line that is a JSON object as a part of the report of its epoch."""
        said = _object(line)
        if said is None:
            return
        values = {
            name: metric_value(self._where, name, _number(value))
            for name, value in said.items()
            if name not in NOT_METRICS
            and (name == self._metric or value is None or is_number(value))
        }
        if not values:
            return
        self._begin(said.get("epoch"))
        self._pending |= values
        if self._metric in self._pending:
            self._report()

    def _match(self, line: str) -> None:
        """Look for each metric, and for the epoch's number, in a line."""
        if self._epoch_pattern and (found := self._epoch_pattern.search(line)):
            self._begin(self._found("epoch", found[1]))
        for name, pattern in self._patterns.items():
            found = pattern.search(line)
            if found is None:
                continue
            if name in self._pending:
                absent = [each for each in self._patterns if each not in self._pending]
                expected = f"expected {', '.join(absent)} before {name} again, each once an epoch"
                raise TrialError(explain(self._where, expected, line))
            self._pending[name] = self._found(name, found[1])
        if self._pending.keys() == self._patterns.keys():
            self._report()

    def _found(self, name: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            expected = f"expected a number as {name}"
            raise TrialError(explain(self._where, expected, text)) from None

    def _begin(self, epoch: Any) -> None:
        """Note of which epoch the next metrics are."""
        if epoch is None:
            return
        if not (is_number(epoch) and (isinstance(epoch, int) or epoch.is_integer())):
            raise TrialError(explain(self._where, "expected a whole number as epoch", epoch))
        if self._pending and epoch != self._told:
            expected = f"expected {self._metric} of epoch {self._told} before another epoch"
            raise TrialError(explain(self._where, expected, sorted(self._pending)))
        self._told = int(epoch)

    def _report(self) -> None:
        first = self._form.first
        told = self._told
        due = self._last + 1 if self._last is not None else first
        if told is None:
            if self._reported is not None:
                expected = (
                    "expected the number of the epoch in each report, since a program with"
                    " {checkpoint} may go on later"
                )
                raise TrialError(explain(self._where, expected, sorted(self._pending)))
            told = due
        if self._last is None and self._reported and told > first:
            if told > first + self._reported:
                raise AheadOfReports
            due = told
        if self._last is None and told < first:
            expected = f"expected {first} as the first epoch, or first_epoch: {told}"
            raise TrialError(explain(self._where, expected, told))
        if told != due:
            raise TrialError(
                explain(self._where, f"expected a report of epoch {due}, the next one", told)
            )
        self._last, self._told = told, None
        self.reports.append((told - first + 1, self._pending))
        self._pending = {}


def _object(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    for text in (line, _NOT_JSON.sub(_python_number, line)):
        with contextlib.suppress(ValueError, RecursionError):
            said = json.loads(text)
            return said if isinstance(said, dict) else None
    return None


def _python_number(found: re.Match[str]) -> str:
    sign = "-" if found[1] == "-" else ""
    return "NaN" if found[2].lower() == "nan" else f"{sign}Infinity"


def _number(value: Any) -> Any:
    """Return a value as metrics have it; JSON writes null for what is no number."""
    return float("nan") if value is None else value
