"""Optuna with its successive-halving pruner, as its Keras example shows it; one process.

`--concurrent N` becomes `n_jobs=N`, which are threads.
"""

from __future__ import annotations

from typing import Any

import keras
import optuna
import peer
from cases import SEED, Parameter, compiled_model, limit_threads, read_split


class Prune(keras.callbacks.Callback):
    """Reports each epoch and ends a pruned trial, as optuna-integration's callback does."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Report the validation accuracy of the epoch."""
        self.trial.report(float((logs or {})["val_accuracy"]), step=epoch + 1)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def draw(trial: optuna.Trial, parameter: Parameter) -> Any:
    """Return the parameter's value in Optuna's words; suggest_int includes both ends."""
    low, high = parameter.values[0], parameter.values[-1]
    if parameter.kind == "log":
        return trial.suggest_float(parameter.name, low, high, log=True)
    if parameter.kind == "integer":
        return trial.suggest_int(parameter.name, low, high)
    if parameter.kind == "choice":
        return trial.suggest_categorical(parameter.name, list(parameter.values))
    return low


def search(task: peer.Task) -> peer.Outcome:
    """Run the study."""
    limit_threads(task.threads)
    data = read_split(task.data)

    def objective(trial: optuna.Trial) -> float:
        if task.concurrent == 1:  # it would pull the rug from under a second thread
            keras.backend.clear_session()
        drawn = {parameter.name: draw(trial, parameter) for parameter in task.case.space}
        model = compiled_model(task.case, drawn, data)
        history = model.fit(
            data["x_train"],
            data["y_train"],
            batch_size=drawn["batch_size"],
            epochs=task.epochs,
            verbose=0,
            validation_data=(data["x_validation"], data["y_validation"]),
            callbacks=[Prune(trial)],
        )
        return float(max(history.history["val_accuracy"]))

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=SEED),
        pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    )
    study.optimize(objective, n_trials=task.trials, n_jobs=task.concurrent)
    curves = [list(trial.intermediate_values.values()) for trial in study.trials]
    pruned = [t for t in study.trials if t.state is optuna.trial.TrialState.PRUNED]
    return peer.Outcome(
        trials=len(study.trials),
        epochs=sum(len(curve) for curve in curves),
        best_val_accuracy=max(value for curve in curves for value in curve),
        notes={"pruned": len(pruned)},
    )


if __name__ == "__main__":
    peer.main(search, concurrent=1)
