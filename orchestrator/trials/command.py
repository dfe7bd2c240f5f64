"""Trials that run a program of the user's, in any language: how it is called, and what of its output are reports."""

from __future__ import annotations

import contextlib
import json
import re
import string
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import TrialError, explain, shortened
from orchestrator.redaction import conceal
from orchestrator.search import TrialSpec
from orchestrator.trials.program import KeptOutput, Launch, Program, said_of
from orchestrator.trials.reporting import (
    NOT_METRICS,
    Metrics,
    ReportingJob,
    ReportingWorkbench,
    metric_value,
)

FACTS = ("seed", "epochs", "trial", "config", "checkpoint")
"""What a command may name in braces beside hyperparameters."""
VARIABLES = "ORCHESTRATOR_"
OF_HYPERPARAMETERS = f"{VARIABLES}HP_"
LONGEST_LINE = 1_000_000
"""Bytes of a line that may be a report."""
_NOT_JSON = re.compile(r"(?<=[:\s])([-+]?)(nan|inf)(?:inity)?(?=\s*[,}])", re.IGNORECASE)
"""How C and others print numbers that are none."""

Words = tuple[str | tuple[str, ...], ...]


@dataclass(frozen=True)
class Template:
    """A command with names in braces, word by word; a tuple of words is left out where one of its names has no value.

    Under ``shell`` it is one text that a shell runs.
    """

    words: Words
    shell: bool = False

    def names(self, optional: bool = True) -> list[str]:
        """Return what is named in braces; without ``optional`` where it stands outside of groups."""
        groups = [each for each in self.words if isinstance(each, str) or optional]
        texts = [word for each in groups for word in ([each] if isinstance(each, str) else each)]
        return list(dict.fromkeys(name for text in texts for name in named_in(text)))

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """Return the command: each value is a part of one argument, whatever is in it."""
        if self.shell:
            variables = {name: f'"${variable(name)}"' for name in values}
            return ["/bin/sh", "-c", *(_filled(str(text), variables) for text in self.words)]
        filled = []
        for each in self.words:
            group = [each] if isinstance(each, str) else each
            if isinstance(each, str) or all(n in values for word in group for n in named_in(word)):
                filled += [_filled(word, values) for word in group]
        return filled


def variable(name: str) -> str:
    """Return the environment variable in which a program is given a hyperparameter, or one of FACTS."""
    plain = re.sub(r"[^A-Z0-9_]", "_", name.upper())
    return f"{VARIABLES}{plain}" if name in FACTS else f"{OF_HYPERPARAMETERS}{plain}"


def named_in(text: str) -> Iterator[str]:
    """Yield the names in braces. Raises ValueError for a brace without its other one, and for more than a name."""
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            if form or conversion or not name:
                raise ValueError("expected a name alone in braces, and {{ for a brace")
            yield name


def _filled(text: str, values: Mapping[str, str]) -> str:
    parts = string.Formatter().parse(text)
    return "".join(said + (values[name] if name is not None else "") for said, name, _, _ in parts)


def as_text(value: Any) -> str:
    """Return a hyperparameter as an argument: numbers so that they are read back exactly, true, false and null."""
    return value if isinstance(value, str) else json.dumps(value)


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


@dataclass(frozen=True, kw_only=True)
class CommandJob(ReportingJob):
    """Trials that run a program."""

    command: Template
    folder: Path
    format: Format
    grace: float
    environment: Mapping[str, str] = field(default_factory=dict)

    def open(self) -> ReportingWorkbench:
        """Set this process up: programs have processes of their own."""
        conceal(self.secrets)
        return ReportingWorkbench(self, lambda spec: _Run(self, spec))


class _Run:
    """One run of the program, and what it reports.

    It runs while the next report is waited for, and is paused in between: it gets ahead by no more than it does until
    the signal reaches it.
    """

    def __init__(self, job: CommandJob, spec: TrialSpec) -> None:
        self._job = job
        self._spec = spec
        self._reader = Reader(job.text, job.metric, job.format)
        logs = job.home / "logs"
        self._stdout = KeptOutput(logs / f"{spec.trial}.stdout.txt")
        self._stderr = KeptOutput(logs / f"{spec.trial}.stderr.txt")
        self._program: Program | None = None
        self._files = contextlib.ExitStack()
        self.epoch = 0

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the program has ended well. Raises TrialError where it did not."""
        if self._program is None:
            self._program = self._start()
        if not self._reader.reports:
            self._program.go_on()
            goes_on = self._program.read(lambda: bool(self._reader.reports))
            if goes_on:
                self._program.pause()
        if self._reader.reports:
            self.epoch, metrics = self._reader.reports.popleft()
            return metrics
        self._write()
        if self._program.ending != "exit 0":
            how = said_of(self._program.ending)
            why = self._stderr.last_line or self._stdout.last_line
            raise TrialError(f"{self._job.text}: the program {how}{f': {why}' if why else ''}.")
        self._reader.end()
        return None

    def end(self) -> None:
        """Have the program end; one that has reported all of its epochs has its grace to do so by itself."""
        if self._program is not None:
            finishes = self.epoch >= self._job.epochs
            self._program.end(self._job.grace if finishes else 0.0)
            self._program = None
            self._write()
        self._files.close()

    def _write(self) -> None:
        self._stdout.write()
        self._stderr.write()

    def _start(self) -> Program:
        spec, job = self._spec, self._job
        folder = Path(self._files.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "config.json"
        config.write_text(json.dumps(dict(spec.hyperparameters), indent=2), encoding="utf-8")
        values = {name: as_text(value) for name, value in spec.hyperparameters.items()}
        values |= {"seed": str(spec.seed), "epochs": str(job.epochs), "trial": spec.trial}
        values["config"] = str(config)
        environment = {variable(name): value for name, value in values.items()}
        launch = Launch(
            folder=job.folder, environment={**job.environment, **environment}, grace=job.grace
        )
        merged = bool(job.format.metrics)  # programs that cannot be changed log to stderr as well

        def stdout(printed: bytes) -> None:
            self._stdout(printed)
            self._reader.take(printed)

        arguments = job.command.arguments(values)
        return Program(arguments, launch, stdout, None if merged else self._stderr)


class Reader:
    """Makes reports of what a program prints."""

    def __init__(self, where: str, metric: str, form: Format) -> None:
        self._where = where
        self._metric = metric
        self._form = form
        self._patterns = {name: re.compile(text) for name, text in form.metrics.items()}
        self._epoch_pattern = re.compile(form.epoch) if form.epoch else None
        self._line = bytearray()
        self._pending: Metrics = {}
        self._told: int | None = None
        self._last: int | None = None
        self._nearly = ""
        self.reports: deque[tuple[int, Metrics]] = deque()

    def take(self, printed: bytes) -> None:
        """Take in what was printed; a progress bar's returns end lines too."""
        printed = printed.replace(b"\r", b"\n")
        if not self._patterns and b"{" not in printed and b"{" not in self._line:
            printed = (
                printed[printed.rfind(b"\n") + 1 :] or b""
            )  # a flood of lines of which none is a report
            self._line.clear()
        *lines, rest = printed.split(b"\n")
        for line in lines:
            self._take_line(line)
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
        """Take in the last line where no line break follows it. Raises TrialError for half a report."""
        begun = self._line.decode(errors="replace").strip()
        self._take_line(b"")
        if not self._patterns and begun.startswith("{") and _object(begun) is None:
            self._nearly = begun
            raise TrialError(explain(self._where, "expected whole reports", shortened(begun)))
        if self._pending:
            absent = [n for n in self._patterns or (self._metric,) if n not in self._pending]
            expected = f"expected {', '.join(absent)} of each epoch"
            raise TrialError(explain(self._where, expected, sorted(self._pending)))

    def _parse(self, line: str) -> None:
        """Take a line that is a JSON object as a part of the report of its epoch."""
        said = _object(line)
        if said is None:
            return
        values = {
            name: metric_value(self._where, name, _number(value))
            for name, value in said.items()
            if name not in NOT_METRICS and (name == self._metric or _is_number(value))
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
            self._begin(int(float(found[1])))
        for name, pattern in self._patterns.items():
            found = pattern.search(line)
            if found is None:
                continue
            if name in self._pending:
                absent = [each for each in self._patterns if each not in self._pending]
                expected = f"expected {', '.join(absent)} before {name} again, each once an epoch"
                raise TrialError(explain(self._where, expected, line))
            try:
                self._pending[name] = float(found[1])
            except ValueError:
                raise TrialError(
                    explain(self._where, f"expected a number as {name}", found[1])
                ) from None
        if self._pending.keys() == self._patterns.keys():
            self._report()

    def _begin(self, epoch: Any) -> None:
        """Note of which epoch the next metrics are."""
        if epoch is None:
            return
        if isinstance(epoch, bool) or not isinstance(epoch, int | float) or epoch != int(epoch):
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
            told = due
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


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: Any) -> Any:
    """Return a value as metrics have it; JSON writes null for what is no number."""
    return float("nan") if value is None else value
