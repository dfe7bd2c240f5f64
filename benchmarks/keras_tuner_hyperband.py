"""KerasTuner's Hyperband as its documentation shows it: a HyperModel with its own `fit`.

A KerasTuner trial is one round of a bracket: a configuration promoted to more epochs is a new trial
that goes on from the old one's checkpoint. Trials are counted as it counts them, in its favour.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import numpy as np
import peer
from cases import SEED, Case, Parameter, compiled_model, limit_threads, read_split


class Count(keras.callbacks.Callback):
    """Counts epochs over all trials, on the class: KerasTuner copies callbacks for each trial."""

    epochs = 0
    best = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count one epoch and remember the best validation accuracy."""
        Count.epochs += 1
        Count.best = max(Count.best, float((logs or {})["val_accuracy"]))


class Net(keras_tuner.HyperModel):
    """The case's model; the batch size is a hyperparameter, hence a `fit` of its own."""

    def __init__(self, case: Case, data: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.case, self.data = case, data

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled model of one configuration."""
        drawn = {parameter.name: draw(hp, parameter) for parameter in self.case.space}
        return compiled_model(self.case, drawn, self.data)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any
    ) -> Any:
        """Train with the configuration's batch size."""
        return model.fit(*args, batch_size=hp.get("batch_size"), **kwargs)


def draw(hp: keras_tuner.HyperParameters, parameter: Parameter) -> Any:
    """Return the parameter's value, declared in KerasTuner's words; Int includes both ends."""
    low, high = parameter.values[0], parameter.values[-1]
    if parameter.kind == "log":
        return hp.Float(parameter.name, low, high, sampling="log")
    if parameter.kind == "integer":
        return hp.Int(parameter.name, low, high)
    if parameter.kind == "choice":
        return hp.Choice(parameter.name, list(parameter.values))
    return hp.Fixed(parameter.name, low)


def search(task: peer.Task) -> peer.Outcome:
    """Run Hyperband, iteration after iteration, until the trials are spent."""
    limit_threads(task.threads)
    data = read_split(task.data)
    tuner = keras_tuner.Hyperband(
        Net(task.case, data),
        objective="val_accuracy",
        max_epochs=task.epochs,
        factor=3,
        hyperband_iterations=100,
        seed=SEED,
        directory=str(task.folder),
        project_name="hyperband",
    )
    tuner.oracle.max_trials = task.trials
    tuner.search(
        data["x_train"],
        data["y_train"],
        validation_data=(data["x_validation"], data["y_validation"]),
        callbacks=[Count()],
        verbose=0,
    )
    trials = [trial for trial in tuner.oracle.trials.values() if trial.status == "COMPLETED"]
    fresh = [t for t in trials if not t.hyperparameters.values.get("tuner/initial_epoch")]
    return peer.Outcome(
        trials=len(trials),
        epochs=Count.epochs,
        best_val_accuracy=Count.best,
        notes={"configurations": len(fresh)},
    )


if __name__ == "__main__":
    peer.main(search, concurrent=1)
