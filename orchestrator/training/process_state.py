"""What a trial's code can set for a whole process, put back between trials: switches, policies, names, generator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
