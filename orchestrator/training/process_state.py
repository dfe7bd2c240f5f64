"""What a trial's code can set for a whole process, put back between trials: switches, policies, names, generator."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orchestrator.catalog import FILES_ARE_LOADED_AS, CallableReference
from orchestrator.training import keras_internals
from orchestrator.training.keras_backend import (
    array_of,
    own_generator,
    run_eagerly,
    runs_eagerly,
    set_own_generator,
)


@dataclass(frozen=True)
class Settings:
    """The settings of one moment.

    ``keras`` holds its numbers' default type and the like; ``policies`` what it keeps by thread, the policy of
    precision for one; ``names`` how often each kind of layer or metric was named, which numbers the next.
    """

    keras: Mapping[str, Any]
    policies: Mapping[str, Any]
    names: Mapping[str, int]
    eagerly: bool
    numpy_errors: Mapping[str, Any]

    @classmethod
    def now(cls) -> Settings:
        """Return the settings in force."""
        return cls(
            keras_internals.switches(),
            keras_internals.policies(),
            keras_internals.names_counted(),
            runs_eagerly(),
            np.geterr(),
        )

    def put_back(self) -> None:
        """Have them in force again. Classes of users' files, of which each trial has its own, are forgotten."""
        keras_internals.put_switches_back(self.keras)
        keras_internals.put_policies_back(self.policies)
        keras_internals.forget_names(self.names)
        run_eagerly(self.eagerly)
        np.seterr(**self.numpy_errors)
        keras_internals.forget_registered(FILES_ARE_LOADED_AS)


_AT_FIRST: dict[str, Settings] = {}


def settings_without_trials(module: str | None) -> Settings:
    """Return the process's settings before any trial; ``module`` was just imported, for all trials to come."""
    return _AT_FIRST.setdefault(module or "", Settings.now())


def settle(model: CallableReference) -> None:
    """Have the process's settings as they are without any trial, whatever an earlier one's code has set."""
    settings_without_trials(None).put_back()
    if model.kind == "module":
        model.load()  # what it sets when it is imported is set for all trials
        settings_without_trials(model.place).put_back()


def process_settings() -> dict[str, Any]:
    """Return what a traced program depends on besides its model."""
    return {**keras_internals.switches(), "eagerly": runs_eagerly()}


settings_without_trials(None)


def generator_state() -> list[int | str]:
    """Return the state of Keras's own generator, a seed and a counter, and of PyTorch's where that is the backend."""
    numbers = array_of(keras_internals.generator().state)
    return [*(int(number) for number in numbers), *own_generator()]


def set_generator_state(state: Sequence[int | str]) -> None:
    """Put the generators back, in place."""
    seed, counter, *own = state
    keras_internals.generator().state.assign([seed, counter])
    set_own_generator([str(each) for each in own])


@contextmanager
def builders_generator() -> Iterator[None]:
    """Let the block put another generator in its place, as ``keras.utils.set_random_seed`` does: its state is taken."""
    keras_internals.generator()
    yield
    theirs, ours = keras_internals.generator_in_place(), keras_internals.generator()
    if theirs is not ours:
        ours.state.assign(theirs.state)


@contextmanager
def kept_generator_state() -> Iterator[None]:
    """Let the block draw and seed as it likes; the generator is put back after it."""
    before = generator_state()
    try:
        yield
    finally:
        set_generator_state(before)


class Watch:
    """What is seen of a block of a user's code: whether it would be missed, were it not run again.

    ``acts``: it printed, wrote a file, talked to another machine or process, or changed the environment. ``files`` are
    those that it read.
    """

    def __init__(self) -> None:
        self.acts = False
        self.files: set[str] = set()
        self._before = _left_by_a_build()

    def left_no_trace(self, seed: int, seeds: int) -> bool:
        """Return whether it set nothing for the process and drew nothing but so many of Keras's seeds, from ``seed``.

        All generators were seeded with ``seed`` before it.
        """
        return (
            not self.acts
            and self._before == _left_by_a_build()
            and generator_state()[:2] == [seed, 0]
            and _is_python_after(seed, seeds)
        )


def _left_by_a_build() -> tuple[Any, ...]:
    """Return what a builder might set for the process, names aside, or draw from NumPy's generator."""
    numpys: Any = np.random.get_state(legacy=False)
    drawn = (numpys["state"]["key"].tobytes(), numpys["state"]["pos"], numpys["has_gauss"])
    settings = replace(Settings.now(), names={}, policies=keras_internals.policies_set())
    return (settings, numpys["bit_generator"], *drawn)


def _is_python_after(seed: int, seeds: int) -> bool:
    """Return whether Python's generator is where so many of Keras's seeds leave it."""
    now = random.getstate()
    draw_default_seeds(seed, seeds)
    expected = random.getstate()
    random.setstate(now)
    return expected == now


def draw_default_seeds(seed: int, many: int) -> list[int]:
    """Seed Python's generator and return what Keras draws from it first, for layers that were given no seed."""
    random.seed(seed)
    return [keras_internals.default_seed() for _ in range(many)]


_watched: list[Watch] = []


@contextmanager
def watched() -> Iterator[Watch]:
    """Yield what is seen of the block's code."""
    seen = Watch()
    _listen()
    _watched.append(seen)
    try:
        with contextlib.redirect_stdout(_Heard(sys.stdout, seen)):
            yield seen
    finally:
        _watched.remove(seen)


@functools.cache
def _listen() -> None:
    """Hear of what Python's code does outside of itself. A hook cannot be taken away: it is the process's one."""
    sys.addaudithook(_note_act)


_ACTS = ("subprocess.", "socket.", "os.", "shutil.", "sqlite3.", "urllib.", "http.", "ftplib.")
_ONLY_LOOKS = {"os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.listxattr", "os.getxattr"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC


def _note_act(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched or any("__pycache__" in str(each) for each in arguments[:2]):
        return
    seen = _watched[-1]
    if event == "open" and not arguments[2] & _WRITES:
        seen.files.add(os.fsdecode(arguments[0]) if not isinstance(arguments[0], int) else "")
    elif event == "open" or (event.startswith(_ACTS) and event not in _ONLY_LOOKS):
        seen.acts = True


class _Heard:
    """A stream that is heard when it is written to."""

    def __init__(self, stream: Any, seen: Watch) -> None:
        self._stream = stream
        self._seen = seen

    def write(self, text: str) -> Any:
        self._seen.acts = True
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
