"""What anyone's code can set for a whole process: Keras's policies and names, TensorFlow's and NumPy's switches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.backend import config  # not public
from keras.src.backend.common import global_state  # not public
from keras.src.saving import object_registration as registry  # not public

from orchestrator.catalog import FILES_ARE_LOADED_AS, CallableReference

NAMES = "object_name_uids"
GENERATOR = "global_seed_generator"


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
        state = vars(global_state.GLOBAL_STATE_TRACKER)
        return cls(
            {name: value for name, value in vars(config).items() if _is_setting(name)},
            {name: value for name, value in state.items() if name not in (NAMES, GENERATOR)},
            dict(state.get(NAMES, {})),
            tf.config.functions_run_eagerly(),
            np.geterr(),
        )

    def put_back(self) -> None:
        """Have them in force again."""
        for name, value in self.keras.items():
            setattr(config, name, value)
        state = vars(global_state.GLOBAL_STATE_TRACKER)
        for name in [name for name in state if name not in (NAMES, GENERATOR, *self.policies)]:
            del state[name]
        state.update(self.policies)
        state[NAMES] = defaultdict(int, self.names)
        if tf.config.functions_run_eagerly() != self.eagerly:
            tf.config.run_functions_eagerly(self.eagerly)
        np.seterr(**self.numpy_errors)
        _forget_registered()


def _forget_registered() -> None:
    """Take classes of users' files out of Keras's registry, which would keep them alive; each trial has its own."""
    names = registry.GLOBAL_CUSTOM_NAMES
    for kind in [kind for kind in names if kind.__module__.startswith(FILES_ARE_LOADED_AS)]:
        registry.GLOBAL_CUSTOM_OBJECTS.pop(names.pop(kind), None)


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


def _is_setting(name: str) -> bool:
    return name.startswith("_") and name.isupper()


def process_settings() -> dict[str, Any]:
    """Return what a traced program depends on besides its model."""
    switches = {name: value for name, value in vars(config).items() if _is_setting(name)}
    return {**switches, "eagerly": tf.config.functions_run_eagerly()}


def forget_names() -> None:
    """Have Keras number layers, metrics and optimizers from the start, as in a process of one's own."""
    vars(global_state.GLOBAL_STATE_TRACKER)[NAMES] = defaultdict(int)


settings_without_trials(None)
