"""Trials that run a program of the user's: its command checked against the space, its files found, before it is run."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from orchestrator.catalog import CallableReference, source_files
from orchestrator.config import CommandTrial, Experiment
from orchestrator.domains import Space
from orchestrator.domains.space import companion
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import Given
from orchestrator.experiment.kinds.function_trials import interpreter_of, planned, reporting
from orchestrator.records import RunFolder
from orchestrator.search import Plan
from orchestrator.trials import Trainable
from orchestrator.trials.command import (
    FACTS,
    OF_HYPERPARAMETERS,
    CommandJob,
    Template,
    variable,
)
from orchestrator.trials.interpreter import Interpreter
from orchestrator.trials.printed_reports import Format
from orchestrator.trials.reporting import metric_name

WHERE = "trial.command"
PYTHONS = ("python", "python3")
"""What a command calls the interpreter that ``trial.python`` names."""


@dataclass(frozen=True)
class CommandTrials:
    """The program that each trial runs."""

    trial: CommandTrial
    command: Template
    folder: Path
    interpreter: Interpreter | None = None

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        return CommandJob(
            command=self.command,
            folder=self.folder.resolve(),
            format=Format(
                metrics=self.trial.metrics, epoch=self.trial.epoch, first=self.trial.first_epoch
            ),
            grace=self.trial.grace_seconds,
            python=self.interpreter.path if self.interpreter else None,
            **reporting(self.trial.text, experiment, plan, folder),
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: the command, and the files that it names."""
        files = {
            name: hashlib.sha256(file.read_bytes()).hexdigest()
            for name, file in named_files(self.trial, self.folder).items()
        }
        told = "".join(f"{name}\0{files[name]}\n" for name in sorted(files))
        fingerprint = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        code = {"reference": self.trial.text, "fingerprint": fingerprint, "files": files}
        python = {"python": asdict(self.interpreter)} if self.interpreter else {}
        return {"trial": code | python}

    def facts(self) -> dict[str, Any]:
        """Return the task as the run's record has it: the program alone knows it."""
        return {"kind": None, "baseline": {}, "said": list(self.sentences())}

    def sentences(self) -> Iterator[str]:
        """Yield what a trial is."""
        yield f"trial: a run of {self.trial.text}, which brings its own model and data"


def prepare_command(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, CommandTrials]:
    """Check what an experiment of a user's program refers to, and plan it. Nothing is run."""
    trial = experiment.trial
    assert isinstance(trial, CommandTrial)  # noqa: S101
    interpreter = interpreter_of(experiment)
    words = trial.words
    if interpreter is not None and words[0] in PYTHONS and not trial.shell:
        words = (interpreter.path.replace("{", "{{").replace("}", "}}"), *words[1:])
    command = Template(words, trial.shell)
    experiment, plan = planned(experiment, space, place)
    known = plan.drawn_from
    _check_names(command, known)
    _check_all_given(command, known, list(named_files(trial, experiment.folder).values()))
    if not trial.shell:
        _check_program(str(words[0]), experiment.folder)
    for name in trial.metrics:
        metric_name("trial.metrics", name)
    if trial.metrics and experiment.metric not in trial.metrics:
        expected = "expected metric to be one of trial.metrics"
        raise ExperimentFileError(explain("metric", expected, experiment.metric, trial.metrics))
    return experiment, plan, CommandTrials(trial, command, experiment.folder, interpreter)


def _check_names(command: Template, space: Space) -> None:
    """Refuse names in braces that stand for nothing, and hyperparameters whose names stand for something else."""
    companions = [companion(name) for name in space.names]
    known = {*space.names, *companions, *FACTS}
    for name in command.names():
        if name not in known:
            shown = {*space.names, *FACTS}
            expected = "expected a hyperparameter of search_space in braces"
            raise ExperimentFileError(explain(WHERE, expected, name, shown))
    for name in command.names(optional=False):
        if name in space.domains and space.domains[name].when:
            raise ExperimentFileError(
                f"{WHERE}: {name} does not exist in every trial. Write the command as a list, with what is left out"
                f" without it as a list of its own, such as [./train, [--{name}, '{{{name}}}']]."
            )
    variables: dict[str, str] = {}
    for name in space.names:
        if name in FACTS:
            expected = f"expected another name, since {{{name}}} is the trial's"
            raise ExperimentFileError(explain(f"search_space.{name}", expected, name))
        if (other := variables.setdefault(variable(name), name)) != name:
            expected = f"expected names that differ in more than case and punctuation ({other})"
            raise ExperimentFileError(explain(f"search_space.{name}", expected, name))


def _check_all_given(command: Template, space: Space, files: list[Path]) -> None:
    """Refuse a hyperparameter that the program cannot know of: every value of it would give the same."""
    named = command.names()
    if "config" in named:
        return
    text = " ".join(str(each) for each in command.words)
    read = text.encode("utf-8", "surrogatepass") + b"".join(file.read_bytes() for file in files)
    for name in space.names:
        known = name in named or companion(name) in named
        whole = variable(name).encode() in read or f'{OF_HYPERPARAMETERS}"'.encode() in read
        if not (known or whole):
            raise ExperimentFileError(
                f"search_space.{name}: expected a hyperparameter that the program is given. Received: {name}, which the"
                f" command does not name and its files do not read. Write {{{name}}} or {{config}} in {WHERE}, or read"
                f" the environment variable {variable(name)}."
            )


def _check_program(program: str, folder: Path) -> None:
    """Refuse a program that is not there, or cannot be run."""
    if "{" in program:
        return
    if "/" not in program:
        if shutil.which(program) is None:
            beside = f" For the file beside the experiment write ./{program}."
            hint = beside if (folder / program).is_file() else ""
            expected = "expected a program on PATH, or ./file beside the experiment"
            raise UnknownNameError(explain(WHERE, expected, program) + hint)
        return
    path = (folder / Path(program).expanduser()).absolute()
    if not path.is_file():
        raise UnknownNameError(
            f"{WHERE}: expected a program. Received: {program}, and no file {path}."
        )
    if not os.access(path, os.X_OK):
        raise UnknownNameError(
            f"{WHERE}: expected a program that may be run. Received: {program}, which may not: chmod +x {path}, or"
            f" write what runs it before it, such as sh {program}."
        )


def named_files(trial: CommandTrial, folder: Path) -> dict[str, Path]:
    """Return the files beside the experiment that a command names, and the Python files that they import, by name."""
    folder = folder.absolute()
    words = [word for each in trial.words for word in ([each] if isinstance(each, str) else each)]
    if trial.shell:
        words = _shell_words(trial.text)
    found: dict[str, Path] = {}
    for file in _named(words, folder):
        inside = [file]
        if file.suffix == ".py":
            with suppress(ExperimentFileError):  # of another Python's syntax
                inside = source_files(CallableReference("file", str(file), "", trial.text))
        for each in inside:
            if each.is_relative_to(folder):
                found[each.relative_to(folder).as_posix()] = each
    return found


def _shell_words(text: str) -> list[str]:
    with suppress(ValueError):  # what is no pair of quotes to shlex may be one to a shell
        return shlex.split(text, comments=True)
    return text.split()


def _named(words: list[str], folder: Path) -> Iterator[Path]:
    """Yield the files that words name, behind ``--option=`` too, and as a module behind ``-m``."""
    names: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        module = word.replace(".", "/")
        names += [word, word.rpartition("=")[2]]
        names += [f"{module}.py", f"{module}/__main__.py"] if before == "-m" else []
    for name in filter(None, names):
        path = Path(os.path.normpath(folder / name))
        with suppress(OSError, ValueError):
            if path.is_relative_to(folder) and path.is_file():
                yield path
