"""Trials that run a program of the user's, in any language: how it is called, and what of its output are reports."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import string
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.config.trial_options import CommandWords, named_in
from orchestrator.errors import TrialError, explain, shortened
from orchestrator.redaction import conceal
from orchestrator.trials.program import KeptOutput, Launch, Program, said_of
from orchestrator.trials.reporting import (
    NOT_METRICS,
    Metrics,
    ReportingJob,
    ReportingWorkbench,
    Start,
    metric_value,
)
from orchestrator.trials.state_store import epoch_of

FACTS = ("seed", "epochs", "trial", "config", "checkpoint")
"""What a command may name in braces beside hyperparameters."""
VARIABLES = "ORCHESTRATOR_"
OF_HYPERPARAMETERS = f"{VARIABLES}HP_"
LONGEST_LINE = 1_000_000
"""Bytes of a line that may be a report."""
_NOT_JSON = re.compile(r"(?<=[:\s])([-+]?)(nan|inf)(?:inity)?(?=\s*[,}])", re.IGNORECASE)
"""How C and others print numbers that are none."""


@dataclass(frozen=True)
class Template:
    """A command with names in braces, word by word; a tuple of words is left out where one of its names has no value.

    Under ``shell`` it is one text that a shell runs.
    """

    words: CommandWords
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
        return ReportingWorkbench(self, lambda start: _Run(self, start))

    @property
    def resumes(self) -> bool:
        """Whether the program is given a folder for its state."""
        return "checkpoint" in self.command.names()


class _Run:
    """One run of the program, and what it reports.

    It runs while the next report is waited for, and is paused in between: it gets ahead by no more than it does until
    the signal reaches it. What lies in its checkpoint folder at a report is the trial's state of that epoch, unless the
    program had printed more by then.
    """

    def __init__(self, job: CommandJob, start: Start) -> None:
        self._job = job
        self._spec = start.spec
        self._files = start.files
        self.state = start.state
        self.epoch = 0
        logs = job.home / "logs"
        self._stdout = KeptOutput(logs / f"{start.spec.trial}.stdout.txt")
        self._stderr = KeptOutput(logs / f"{start.spec.trial}.stderr.txt")
        self._folder: Path | None = None
        self._seen: object = None
        self._config = tempfile.TemporaryDirectory()
        self._program: Program | None = None

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the program has ended well. Raises TrialError where it did not."""
        if self._program is None:
            self._start()
        try:
            return self._next()
        except _AheadOfReports:
            self._stop()
            self.state = None
        self._start()
        return self._next()

    def _next(self) -> Metrics | None:
        assert self._program is not None  # noqa: S101
        if not self._reader.reports:
            self._program.go_on()
            if self._program.read(lambda: self._reader.has_news):
                self._program.pause()
            elif self._program.ending == "exit 0":
                self._reader.end()
        if self._reader.reports:
            self.epoch, metrics = self._reader.reports.popleft()
            if not self._reader.reports:
                self._keep_state()
            return metrics
        self._write()
        if self._reader.fault is not None:
            raise self._reader.fault
        if self._program.ending != "exit 0":
            how = said_of(self._program.ending)
            why = self._stderr.last_line or self._stdout.last_line
            raise TrialError(f"{self._job.text}: the program {how}{f': {why}' if why else ''}.")
        return None

    def end(self) -> None:
        """Have the program end; one that has reported all of its epochs has its grace to do so by itself."""
        self._stop(self._job.grace if self.epoch >= self._job.epochs else 0.0)
        self._config.cleanup()

    def _stop(self, patience: float = 0.0) -> None:
        if self._program is not None:
            self._program.end(patience)
            self._program = None
            self._write()
        if self._folder is not None:
            self._files.drop(self._folder)
            self._folder = None

    def _write(self) -> None:
        self._stdout.write()
        self._stderr.write()

    def _start(self) -> None:
        spec, job = self._spec, self._job
        values = {name: as_text(value) for name, value in spec.hyperparameters.items()}
        values |= {"seed": str(spec.seed), "epochs": str(job.epochs), "trial": spec.trial}
        config = Path(self._config.name) / "config.json"
        config.write_text(json.dumps(dict(spec.hyperparameters), indent=2), encoding="utf-8")
        values["config"] = str(config)
        if job.resumes:
            self._folder = self._files.begin()
            if self.state is not None:
                shutil.copytree(self._files.find(self.state), self._folder, dirs_exist_ok=True)
            self._seen = _seen_in(self._folder)
            values["checkpoint"] = str(self._folder)
        reported = epoch_of(self.state) if job.resumes else None
        self._reader = Reader(job.text, job.metric, job.format, reported)
        variables = {variable(name): value for name, value in values.items()}
        launch = Launch(
            folder=job.folder, environment={**job.environment, **variables}, grace=job.grace
        )
        arguments = job.command.arguments(values)
        merged = bool(job.format.metrics)  # programs that cannot be changed log to stderr as well
        self._program = Program(arguments, launch, self._heard, None if merged else self._stderr)

    def _heard(self, printed: bytes) -> None:
        self._stdout(printed)
        self._reader.take(printed)

    def _keep_state(self) -> None:
        """Keep a copy of what is in the program's checkpoint folder, where it has changed."""
        if self._folder is None or (seen := _seen_in(self._folder)) in (self._seen, ()):
            return
        copy = self._files.begin()
        try:
            shutil.copytree(self._folder, copy, dirs_exist_ok=True, ignore_dangling_symlinks=True)
            self.state = self._files.keep(copy, self.epoch)
            self._seen = seen
        finally:
            self._files.drop(copy)


def _seen_in(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what tells whether the files below a folder have changed."""
    found = []
    for file in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            if file.is_file():
                facts = file.stat()
                found.append((str(file), facts.st_size, facts.st_mtime_ns))
    return tuple(found)


class _AheadOfReports(Exception):
    """A program went on from a state beyond what it had reported."""


class Reader:
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
        except (TrialError, _AheadOfReports) as fault:
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
            if self._reported is not None:
                expected = (
                    "expected the number of the epoch in each report, since a program with"
                    " {checkpoint} may go on later"
                )
                raise TrialError(explain(self._where, expected, sorted(self._pending)))
            told = due
        if self._last is None and self._reported and told > first:
            if told > first + self._reported:
                raise _AheadOfReports
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


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _number(value: Any) -> Any:
    """Return a value as metrics have it; JSON writes null for what is no number."""
    return float("nan") if value is None else value
