"""Calls a user's functions in a Python of theirs, 3.7 or newer: ``python function_runner.py IN OUT``, two descriptors.

A line of JSON comes in for each trial, and answers to what goes out: ``report`` (waits for ``go``), ``begin`` and
``keep`` of a state, then one of ``returned``, ``raised`` and ``ended``. Nothing of the orchestrator is imported, nor
what is not Python's own: the package and its environment never meet the function's. ``trials/interpreter.py`` is the
other end. What a function is called with, and what is seeded, is said here for functions of either.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    del sys.path[0]  # this file's folder, whose modules would hide the user's

import contextlib
import importlib
import importlib.util
import inspect
import json
import os
import random
import traceback
from pathlib import Path

BY_NAME = ("seed", "checkpoint")
"""What a function is given if it has a parameter of that name."""
SEEDED = {
    "numpy": "random.seed",
    "tensorflow": "random.set_seed",
    "torch": "manual_seed",
    "paddle": "seed",
    "mxnet": "random.seed",
    "cupy": "random.seed",
    "keras": "utils.set_random_seed",
}
"""Modules with generators of their own, and what seeds those."""
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any


class Stopped(BaseException):
    """Raised where a function reports whose trial is over. Like Ctrl-C, it passes ``except Exception``."""


def takes_report(function: Callable[..., Any]) -> bool:
    """Return whether a function is called as ``train(hp, report)``, and not as a generator ``train(hp)``."""
    places = list(inspect.signature(function).parameters.values())
    if any(each.kind is each.VAR_POSITIONAL for each in places):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    second = [each for each in places if each.kind in kinds][1:2]
    # A generator train(hp, seed) reports by what it yields.
    if second and second[0].name in BY_NAME:
        return False
    return bool(second) and (second[0].default is second[0].empty or second[0].name == "report")


def takes(name: str, function: Callable[..., Any]) -> bool:
    """Return whether a function has a parameter ``name`` without a default of its own, beyond its hyperparameters."""
    places = list(inspect.signature(function).parameters.values())[1:]
    by_name = (
        each for each in places if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    )
    return any(each.name == name and each.default is each.empty for each in by_name)


def seed_everything(seed: int) -> None:
    """Seed Python, and whichever of SEEDED the user's code has imported. JAX has no generator to be seeded."""
    random.seed(seed)
    for name, call in SEEDED.items():
        found: Any = sys.modules.get(name)
        for part in call.split("."):
            found = getattr(found, part, None)
        if callable(found):
            found(seed)


def as_number(value: Any) -> float:
    """Return a metric as a float: a number, finite or not, or an array or tensor of one.

    Raises TypeError, with what it is, for anything else: a text, None, a boolean, several numbers, more than a float
    holds.
    """
    ways = [way for way in ("item", "asscalar") if hasattr(value, way)]
    kind = type(value).__name__
    try:
        plain = getattr(value, ways[0])() if ways else value
        if isinstance(plain, (str, bytes, bool)) or "bool" in str(getattr(plain, "dtype", "")):
            kind = type(plain).__name__ if plain is not value else kind
        else:
            return float(plain)
    except (TypeError, ValueError, AttributeError, OverflowError):
        pass
    raise TypeError(kind)


def _sent(value: Any) -> Any:
    """Return a metric as a float; of what is none, what it is, as ``[name]``."""
    try:
        return as_number(value)
    except TypeError as error:
        return [str(error)]


class _Refused(Exception):
    """What the other end refuses, at the line where it was asked."""


class _Line:
    """The other end."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming = os.fdopen(incoming, "r", encoding="utf-8")
        self._outgoing = outgoing
        self._process = os.getpid()

    def next(self) -> Any:
        said = self._incoming.readline()
        return json.loads(said) if said else None

    def tell(self, **told: Any) -> None:
        if os.getpid() != self._process:  # the function forked, and this is the child
            os._exit(0)
        left = json.dumps(told).encode() + b"\n"
        while left:
            left = left[os.write(self._outgoing, left) :]

    def ask(self, **told: Any) -> Any:
        self.tell(**told)
        answer = self.next()
        if answer is None or answer.get("go") is False:
            raise Stopped
        if "refused" in answer:
            raise _Refused(answer["refused"])
        return answer


class Checkpoint:
    """Where a function keeps its states and finds the one that it is to go on from: ``report.checkpoint``."""

    def __init__(self, line: _Line, state: str | None, epoch: int) -> None:
        self._line = line
        self._state = state
        self._epoch = epoch
        self.epoch = 0

    def load(self) -> Any:
        """Return the folder (a Path) with the state that the trial goes on from, None where it begins."""
        self._line.ask(load=True)
        if self._state is None:
            return None
        self.epoch = self._epoch
        return Path(self._state)

    @contextlib.contextmanager
    def save(self, epoch: int | None = None) -> Iterator[Any]:
        """Yield an empty folder (a Path); what is written into it is the trial's state after the next epoch."""
        folder = self._line.ask(begin=epoch)["folder"]
        try:
            yield Path(folder)
        except BaseException:
            self._line.ask(drop=folder)
            raise
        self._line.ask(keep=folder)


class Report:
    """What a function reports with: ``report(epoch, **metrics)``, and the states that it keeps."""

    def __init__(self, line: _Line, checkpoint: Checkpoint, hp: dict[str, Any]) -> None:
        self._line = line
        self._hp = hp
        self.checkpoint = checkpoint

    def __call__(self, epoch: Any = None, **metrics: Any) -> None:
        """Report the metrics of an epoch, the first is 1, and wait until the next one is asked for.

        What a panda changed by then is found in the function's hyperparameters.
        """
        if hasattr(epoch, "keys"):
            metrics = dict(epoch, **metrics)
            epoch = metrics.pop("epoch", None)
        epoch = epoch.item() if hasattr(epoch, "item") else epoch
        plain = {str(name): _sent(value) for name, value in metrics.items()}
        answer = self._line.ask(report=plain, epoch=epoch)
        self._hp.update(answer.get("hp") or {})


def _loaded(file: str, name: str) -> Any:
    folder, module = str(Path(file).parent), Path(file).stem
    if folder not in sys.path:
        sys.path.insert(0, folder)
    if module not in sys.modules:
        spec = importlib.util.spec_from_file_location(module, file)
        assert spec is not None  # noqa: S101
        assert spec.loader is not None  # noqa: S101
        sys.modules[module] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(sys.modules[module])
        except BaseException:
            del sys.modules[module]
            raise
    return getattr(sys.modules[module], name)


def _train(line: _Line, asked: Mapping[str, Any]) -> None:
    """Call the function for a trial, to its end."""
    with contextlib.suppress(ImportError):
        importlib.import_module("numpy")  # seeded where it is there, as the orchestrator's own is
    function = _loaded(asked["file"], asked["function"])
    seed_everything(asked["seed"])
    checkpoint = Checkpoint(line, asked["state"], asked["epoch"])
    report = Report(line, checkpoint, asked["hp"])
    given = [asked["hp"], report] if takes_report(function) else [asked["hp"]]
    by_name = {"seed": asked["seed"], "checkpoint": checkpoint}
    answer = function(*given, **{name: by_name[name] for name in by_name if takes(name, function)})
    if inspect.iscoroutine(answer):
        answer.close()
        raise _Refused("async")
    if inspect.isgenerator(answer):
        for yielded in answer:
            report(yielded)


def _tell_raised(line: _Line, error: BaseException, file: str) -> None:
    """Tell what the function raised, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == file] or frames
    spot = f" ({Path(own[-1].filename).name} line {own[-1].lineno}, in {own[-1].name})"
    said = traceback.format_exception_only(type(error), error)[-1].strip()
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    line.tell(raised=said, spot=spot, trace=trace)


def main(line: _Line) -> None:
    """Train a trial after another, until the other end is closed, or one raises: nothing of that is left to others."""
    home = Path.cwd()
    while True:
        asked = line.next()
        if asked is None:
            return
        if "file" not in asked:  # an answer to a function that has left without it
            continue
        os.chdir(home)
        try:
            _train(line, asked)
        except Stopped:
            pass
        except _Refused as error:
            line.tell(refused=str(error))
            continue
        except SystemExit as error:
            line.tell(ended=str(error.code or 0))
            raise
        except BaseException as error:
            _tell_raised(line, error, asked["file"])
            raise
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        line.tell(returned=True)


if __name__ == "__main__":
    main(_Line(int(sys.argv[1]), int(sys.argv[2])))
