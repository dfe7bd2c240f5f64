"""A trial's Keras callbacks, from the function that the experiment names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError
from orchestrator.training.hyperparameters import RecordedHyperparameters
from orchestrator.training.task import TrainingTask


def make_callbacks(task: TrainingTask, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a trial's callbacks, made after its model: none where the experiment names no function.

    Raises TrialError where it returns anything else than Keras callbacks.
    """
    reference = task.callbacks
    if reference is None:
        return ()
    where = f"callbacks {reference.text}"
    beside_the_model = (reference.kind, reference.place) == (task.model.kind, task.model.place)
    with UsersCode(where, reference.runs_in):
        made = reference.load(fresh=not beside_the_model)(RecordedHyperparameters(given))
    found = list(made) if isinstance(made, list | tuple) else [made]
    for each in found:
        if isinstance(each, keras.callbacks.BackupAndRestore):
            raise TrialError(
                f"{where}: expected callbacks that train each trial from its seed. Received: BackupAndRestore, which"
                " would put one trial's state into another. Leave it out: a run that was cut off is resumed by"
                " 'orchestrator resume'."
            )
        if not isinstance(each, keras.callbacks.Callback):
            raise TrialError(
                f"{where}: expected a list of Keras callbacks. Received: {type(each).__name__}"
                f"{' in it' if made is not each else ''}."
            )
    return tuple(found)
