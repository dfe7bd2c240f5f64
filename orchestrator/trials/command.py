"""Trials that run a program of the user's, in any language: how it is called, and what of its output are reports."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import string
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.config.trial_options import CommandWords, named_in
from orchestrator.errors import TrialError, explain
from orchestrator.redaction import conceal
from orchestrator.trials.live_reports import babysat
from orchestrator.trials.printed_reports import AheadOfReports, Format, ReportReader
from orchestrator.trials.program import (
    LOOK_SECONDS,
    OF_OUR_PYTHON,
    KeptOutput,
    Launch,
    Program,
    said_of,
)
from orchestrator.trials.reporting import (
    NOT_YET,
    Metrics,
    ReportingJob,
    ReportingWorkbench,
    Start,
)
from orchestrator.trials.state_store import epoch_of

FACTS = ("seed", "epochs", "trial", "config", "checkpoint")
"""What a command may name in braces beside hyperparameters."""
VARIABLES = "ORCHESTRATOR_"
OF_HYPERPARAMETERS = f"{VARIABLES}HP_"


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
class CommandJob(ReportingJob):
    """Trials that run a program; with ``python``, that interpreter and its scripts are the first on its path."""

    command: Template
    folder: Path
    format: Format
    grace: float
    python: str | None = None

    reads_anew = False
    saved_with = "in {checkpoint} before its report, and not the next one's by then"

    def open(self) -> ReportingWorkbench:
        """Set this process up: programs have processes of their own."""
        conceal(self.secrets)
        return babysat(self, lambda start: _Run(self, start), self.nursery)

    @property
    def resumes(self) -> bool:
        """Whether the program is given a folder for its state."""
        return "checkpoint" in self.command.names()


class _Run:
    """One run of the program, and what it reports.

    It runs while the next report is waited for, and is paused in between: it gets ahead by no more than it does until
    the signal reaches it. What lies in its checkpoint folder at a report is the trial's state of that epoch, unless the
    program had printed more by then, or was writing there.
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
        self._written: set[tuple[int, int, str]] = set()
        self._is_settled = True
        self._config = contextlib.ExitStack()
        self._program: Program | None = None

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the program has ended well. Raises TrialError where it did not."""
        if self._program is None:
            self._start()
        try:
            return self._next()
        except AheadOfReports:
            self._stop()
            self._check_may_begin_anew()
            self.state = None
        self._start()
        return self._next()

    def _check_may_begin_anew(self) -> None:
        """Refuse to run a panda's program again from epoch 1, whose hyperparameters were others then."""
        if self._job.nursery is not None:
            expected = (
                f"expected it to go on with epoch {epoch_of(self.state) + 1} from its checkpoint; write that right"
                " before the report, of that epoch alone"
            )
            raise TrialError(explain(self._job.text, expected, "a report of a later one"))

    def change(self, values: Mapping[str, Any]) -> None:
        """Have the program begin again from its last state, which is of its last report, with other values."""
        self._stop()
        hyperparameters = {**self._spec.hyperparameters, **values}
        self._spec = replace(self._spec, hyperparameters=hyperparameters)

    def _next(self) -> Metrics | None:
        assert self._program is not None  # noqa: S101
        if not self._reader.reports:
            self._program.go_on()
            if self._program.read(lambda: self._reader.has_news, LOOK_SECONDS):
                self._pause()
                if not self._reader.has_news:
                    return NOT_YET
            else:
                self._is_settled = True
                if self._program.ending == "exit 0":
                    self._reader.end()
        if self._reader.reports:
            self.epoch, metrics = self._reader.reports.popleft()
            if not self._reader.reports and self._is_settled:
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

    def _pause(self) -> None:
        """Have the program stand still, and note whether it was about to write its next state by then."""
        assert self._program is not None  # noqa: S101
        if self._folder is None:
            self._program.pause()
            return
        seen = _seen_in(self._folder)
        self._program.pause()
        written = self._program.written(self._folder)
        self._is_settled = seen == _seen_in(self._folder) and written <= self._written
        self._written = written

    def end(self) -> None:
        """Have the program end; one that has reported all of its epochs has its grace to do so by itself."""
        self._stop(self._job.grace if self.epoch >= self._job.epochs else 0.0)
        self._config.close()

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
        if "config" in job.command.names():
            folder = self._config.enter_context(tempfile.TemporaryDirectory())
            config = Path(folder, "config.json")
            config.write_text(json.dumps(dict(spec.hyperparameters), indent=2), encoding="utf-8")
            values["config"] = str(config)
        if job.resumes:
            self._folder = self._files.begin()
            if self.state is not None:
                shutil.copytree(self._files.find(self.state), self._folder, dirs_exist_ok=True)
            self._seen, self._written, self._is_settled = _seen_in(self._folder), set(), True
            values["checkpoint"] = str(self._folder)
        reported = epoch_of(self.state) if job.resumes else None
        self._reader = ReportReader(job.text, job.metric, job.format, reported)
        variables = {variable(name): value for name, value in values.items()}
        without: tuple[str, ...] = ()
        if job.python is not None:
            variables["PATH"] = f"{Path(job.python).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            without = OF_OUR_PYTHON
        launch = Launch(folder=job.folder, environment=variables, grace=job.grace, without=without)
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
