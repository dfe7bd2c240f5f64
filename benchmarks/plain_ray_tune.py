"""Ray Tune as its documentation shows it for Keras: a function trainable, a callback, ASHA."""

from __future__ import annotations

from typing import Any

import numpy as np
import peer
from cases import SEED, Case, Parameter, compiled_model, limit_threads, read_split


def train(
    config: dict[str, Any], *, case: Case, data: dict[str, np.ndarray], epochs: int, threads: int
) -> None:
    """Train one trial with `fit`, reporting each epoch."""
    import keras
    from ray import tune

    limit_threads(threads)

    class Report(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
            tune.report({"epoch": epoch + 1, **(logs or {})})

    model = compiled_model(case, config, data)
    model.fit(
        data["x_train"],
        data["y_train"],
        batch_size=config["batch_size"],
        epochs=epochs,
        verbose=0,
        validation_data=(data["x_validation"], data["y_validation"]),
        callbacks=[Report()],
    )


def domain(parameter: Parameter) -> Any:
    """Return the parameter in Ray Tune's words; its randint leaves the upper bound out."""
    from ray import tune

    low, high = parameter.values[0], parameter.values[-1]
    if parameter.kind == "log":
        return tune.loguniform(low, high)
    if parameter.kind == "integer":
        return tune.randint(low, high + 1)
    return tune.choice(list(parameter.values)) if parameter.kind == "choice" else low


def search(task: peer.Task) -> peer.Outcome:
    """Run the trials, two at a time, one CPU each."""
    import ray
    from ray import tune

    ray.init(address="local", num_cpus=task.concurrent, _temp_dir=str(task.folder / "ray"))
    np.random.seed(SEED)  # Ray Tune draws from the global generator
    trainable = tune.with_parameters(
        train,
        case=task.case,
        data=read_split(task.data),
        epochs=task.epochs,
        threads=task.threads,
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=task.trials,
            max_concurrent_trials=task.concurrent,
            scheduler=tune.schedulers.ASHAScheduler(
                time_attr="training_iteration",
                max_t=task.epochs,
                grace_period=1,
                reduction_factor=3,
            ),
        ),
        run_config=tune.RunConfig(storage_path=str(task.folder / "results"), name="bench"),
        param_space={parameter.name: domain(parameter) for parameter in task.case.space},
    )
    results = tuner.fit()
    best = results.get_dataframe(filter_metric="val_accuracy", filter_mode="max")
    return peer.Outcome(
        trials=len(results) - results.num_errors,
        epochs=sum(result.metrics.get("training_iteration", 0) for result in results),
        best_val_accuracy=float(best["val_accuracy"].max()),
        notes={"errors": results.num_errors},
    )


if __name__ == "__main__":
    peer.main(search, concurrent=2)
