"""Learning by one call of ``fit`` over all epochs: a model with a fit of its own, or one that is given callbacks."""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras

from orchestrator.data import StreamedDataset
from orchestrator.training.carrying import seed_states
from orchestrator.training.compiling import Compiled
from orchestrator.training.fit_learner import FitLearner
from orchestrator.training.generators import kept_generator_state
from orchestrator.training.learner import Epoch, Fitting, Part, SplitName, Tensors
from orchestrator.training.one_fit import OneFit
from orchestrator.training.program import arrays_of, assign_all, plain
from orchestrator.training.validation_metrics import ValidationMetrics


class OneFitLearner(FitLearner):
    """Learns by one fit. Where it has to begin amid the epochs, it does at that ``initial_epoch``."""

    def __init__(
        self,
        compiled: Compiled,
        tensors: Tensors,
        asked_momentum: float,
        by_name: ValidationMetrics,
        fitting: Fitting,
    ) -> None:
        super().__init__(compiled, tensors, asked_momentum, by_name)
        self._fitting = fitting
        self._fit_now: OneFit | None = None
        self._next = (0, 0)
        self._validated = False
        self._of_users = type(compiled.model).fit is not keras.Model.fit
        self._counts = _takes(compiled.model, "callbacks")

    @property
    def reusable(self) -> bool:
        """Return that the model is one trial's: a fit may have left anything in it."""
        return False

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on: callbacks may have a memory."""
        return not self._counts

    def train(self, epoch: Epoch, done: int = 0) -> Part:
        """Train an epoch, which has no parts."""
        if not self._counts:
            return super().train(epoch, done)
        if self._fit_now is None or (epoch.number, epoch.batch_size) != self._next:
            self._begin(epoch)
        assert self._fit_now is not None  # noqa: S101
        fit = self._fit_now
        told = fit.next_epoch(lambda rows: replace(epoch, number=fit.epoch).order(rows))
        if told.raised is not None:
            raise told.raised
        if told.logs is None and not fit.counts:
            return self._without_callbacks(epoch)
        self._untrained = None
        if told.logs is None:
            return Part(0, None, ended=self._why_ended(epoch))
        self._next = (epoch.number + 1, epoch.batch_size)
        return self._part(epoch, plain(told.logs))

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split; what the fit draws next is not touched."""
        states = seed_states(self.compiled.model)
        before = arrays_of(states)
        with kept_generator_state():
            metrics = super().evaluate(split)
        assign_all(states, before)
        return metrics

    def close(self) -> None:
        """Let the fit end."""
        if self._fit_now is not None:
            self._fit_now.end()
            self._fit_now = None

    def _begin(self, epoch: Epoch) -> None:
        self.close()
        model = self.compiled.model
        (x, *labelled), options = self._data(epoch), self._options(epoch)
        data, weight = (x, *labelled[:1]), labelled[1:]
        if weight and _takes(model, "sample_weight"):
            options["sample_weight"] = weight[0]

        def call(gate: Any) -> Any:
            return model.fit(*data, callbacks=[gate, *self._fitting.callbacks], **options)

        self._hear_validations(options.get("validation_data"))
        self._fit_now = OneFit(call, epoch.number)
        self._next = (epoch.number, epoch.batch_size)
        self._untrained = self._state() if self._of_users else None

    def _hear_validations(self, rows: Any) -> None:
        """Notice which validations of the fit's are over our rows; add the metrics asked for by name to those."""
        model = self.compiled.model
        ours = keras.tree.flatten(rows)
        evaluate = type(model).evaluate

        def evaluated(*given: Any, **options: Any) -> Any:
            if not options.get("_use_cached_eval_dataset"):  # a call of somebody else's
                return evaluate(model, *given, **options)
            parts = keras.tree.flatten([options.get(name) for name in ("x", "y", "sample_weight")])
            parts = [part for part in parts if part is not None]
            are_ours = len(parts) == len(ours) and all(map(operator.is_, parts, ours))
            self._validated = are_ours and options.get("steps") is None
            if not self._validated:
                return evaluate(model, *given, **options)
            self._by_name.reset()
            with self._by_name.listening():
                return plain(self._by_name.beside(evaluate(model, *given, **options)))

        object.__setattr__(model, "evaluate", evaluated)

    def _options(self, epoch: Epoch) -> dict[str, Any]:
        """Return what fit is given by name, as far as a fit of the user's own takes it."""
        options = {
            "batch_size": epoch.batch_size,
            "epochs": max(self._fitting.epochs, epoch.number + 1),
            "verbose": 0,
            "validation_data": self._validation_data(),
        }
        if epoch.number:
            options["initial_epoch"] = epoch.number
        if isinstance(self._dataset, StreamedDataset):
            del options["batch_size"]
            options["steps_per_epoch"] = self._steps(epoch.batch_size)
        return {k: v for k, v in options.items() if _takes(self.compiled.model, k)}

    def _data(self, epoch: Epoch) -> tuple[Any, ...]:
        if not isinstance(self._dataset, StreamedDataset):
            return self._rows("train")
        labels, size = self.compiled.labels, epoch.batch_size

        def passes() -> Iterator[Any]:
            for number in itertools.count(epoch.number):
                yield from self._tensors.batches("train", labels, size, epoch.seed + number, number)

        return (self._as_tensors(passes),)

    def _validation_data(self) -> Any:
        if isinstance(self._dataset, StreamedDataset):
            return self._as_tensors(lambda: self._batches("validation", 1024, None))
        return self._rows("validation")

    def _part(self, epoch: Epoch, logs: dict[str, float]) -> Part:
        """Return an epoch's metrics; those over our validation rows where they surely are that."""
        steps = self._steps(epoch.batch_size)
        begins = "val_"
        metrics = {name: value for name, value in logs.items() if not name.startswith(begins)}
        found = {k.removeprefix(begins): v for k, v in logs.items() if k.startswith(begins)}
        validated, self._validated = self._validated, False
        return Part(steps, metrics, found if validated and found else None)

    def _steps(self, batch_size: int) -> int:
        return -(-self._dataset.train.rows // batch_size)

    def _why_ended(self, epoch: Epoch) -> str:
        who = "a callback" if self.compiled.model.stop_training else "its fit()"
        return f"{who} ended it after epoch {epoch.number}"

    def _state(self) -> Any:
        model = self.compiled.model
        variables = [*model.variables, *model.optimizer.variables]
        return variables, arrays_of(variables)

    def _without_callbacks(self, epoch: Epoch) -> Part:
        """Train by a fit that called no callback: each epoch is a call of its own."""
        self._counts = False
        if self._untrained is not None:
            assign_all(*self._untrained)
        return super().train(epoch, 0)


def _takes(model: Any, name: str) -> bool:
    """Return whether a model's fit can be given an argument of that name."""
    parameters = inspect.signature(type(model).fit).parameters.values()
    return any(p.name == name or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
