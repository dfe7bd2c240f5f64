"""Training by Keras's own ``fit``, where a compiled epoch would not mean the same."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np

from orchestrator.data import StreamedDataset, row_count
from orchestrator.errors import TrialError
from orchestrator.training.backend import (
    EVALUATION_BATCH,
    AnyDataset,
    Chunk,
    Epoch,
    EpochChunker,
    SplitName,
    Tensors,
    UnseededDraws,
    index_batches,
    losses_by_row,
)
from orchestrator.training.batch_norm import RECALIBRATION_BATCH, LiveMomentum, recalibration_rows
from orchestrator.training.keras_backend import (
    IS_TENSORFLOW,
    NAME,
    RUNS_PYTHON,
    Feed,
    live_steps,
    own_generator,
    set_own_generator,
    traced_graph,
    without_gradients,
)
from orchestrator.training.optimizers import unwrapped
from orchestrator.training.reported import plain
from orchestrator.training.row_metrics import FiguresByName
from orchestrator.training.trial_model import Compiled, arrays_of, assign_all

if IS_TENSORFLOW:
    from orchestrator.training.channel_norm import fast_channels
    from orchestrator.training.tensorflow_internals import forget_custom_gradients


def why_fit(model: Any, dataset: AnyDataset) -> str | None:
    """Return why a model must train by ``fit``, None where compiled epochs mean the same."""
    if isinstance(dataset, StreamedDataset):
        return "the data are streamed"
    if not IS_TENSORFLOW:
        return f"the backend is {NAME}"
    for name in ("fit", "make_train_function"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model overrides {name}()"
    if model.run_eagerly:
        return "the model runs eagerly"
    return None


def why_whole(model: Any) -> str | None:
    """Return why ``fit`` must train an epoch in one call, None where several give the same."""
    if type(model).fit is not keras.Model.fit:
        return "what the model's own fit() does once a call is not known"
    if model.steps_per_execution != 1:
        return "several steps are one"
    if averages_weights(model):
        return "fit() ends with the averages of the weights in their place, which are taken back"
    return None


def averages_weights(model: Any) -> bool:
    """Return whether a model's optimizer keeps averages of its weights, which ``fit`` ends with."""
    return bool(getattr(unwrapped(model.optimizer), "use_ema", False))


class KeepWeights(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the weights as they are at an epoch's end, where ``fit`` puts their averages in their place."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Copy the weights."""
        self._weights = arrays_of(self.model.trainable_weights)

    def on_train_end(self, logs: Any = None) -> None:
        """Put the weights back."""
        assign_all(self.model.trainable_weights, self._weights)


class PutBack(keras.callbacks.Callback):  # type: ignore[misc]
    """Gives metrics what they had accumulated, which ``fit`` forgets when it begins; and its generator to PyTorch.

    Each call of ``fit`` draws from that once, before its first step.
    """

    def __init__(self, accumulated: Sequence[np.ndarray]) -> None:
        super().__init__()
        self._accumulated = accumulated
        self._generator = own_generator()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Assign them; Keras has just reset the metrics."""
        assign_all(self.model.metrics_variables, self._accumulated)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Go on drawing where the step before has ended."""
        set_own_generator(self._generator)
        self._generator = ()


class FitBackend:
    """Trains by ``model.fit``, a chunk of an epoch a call, batches in the same order as compiled epochs take them."""

    path: Literal["compiled", "fit"] = "fit"

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on, as far as it was traced."""
        return not self._draws.seen

    def __init__(
        self,
        compiled: Compiled,
        tensors: Tensors,
        asked_momentum: float,
        by_name: FiguresByName,
    ) -> None:
        self.compiled = compiled
        self.by_name = by_name
        self._tensors = tensors
        self._dataset = tensors.dataset
        self.batch_norm = LiveMomentum(compiled.model, asked_momentum)
        self._chunker = None if why_whole(compiled.model) else EpochChunker()
        self._accumulated: Sequence[np.ndarray] = ()
        self._draws = UnseededDraws()
        self._drawn: tuple[str, ...] = ()
        self._look_at_steps()
        of_optimizer = compiled.optimizer.numbers.values() if compiled.optimizer else ()
        of_loss = [compiled.smoothing] if compiled.smoothing else []
        self.numbers = [*self.batch_norm.numbers, *of_optimizer, *of_loss]
        self._are_live = live_steps(compiled.model, self.numbers)
        self._built_in: list[float] | None = None
        self._feeds: dict[str, Feed] = {}

    def _look_at_steps(self) -> None:
        """Have each step checked for unseeded draws when it is traced."""
        model, draws = self.compiled.model, self._draws
        step = model.train_step

        @functools.wraps(step)
        def looked_at(*given: Any) -> Any:
            if IS_TENSORFLOW:
                with fast_channels(bool(model.jit_compile)):
                    logs = step(*given)
                if (graph := traced_graph()) is not None:
                    draws.look_for_it_in(graph)
                    forget_custom_gradients(graph)
                return logs
            with draws.watched():
                logs = step(*given)
            self._drawn = own_generator()
            return logs

        object.__setattr__(model, "train_step", looked_at)

    def _take_numbers(self) -> None:
        """Have a step that was compiled with other live numbers compiled anew."""
        if self._are_live:
            return
        values = [float(number) for number in self.numbers]
        if self._built_in not in (None, values):
            self._look_at_steps()  # as another function, which JAX has not compiled before
            self.compiled.model.make_train_function(force=True)
        self._built_in = values

    @property
    def reusable(self) -> bool:
        """Return whether a further trial may have the model: nothing of it but variables changes in training."""
        if RUNS_PYTHON:
            return False
        model = self.compiled.model
        overridden = type(model).make_train_function is not keras.Model.make_train_function
        return not (overridden or model.run_eagerly)

    def get_ready(self) -> None:
        """Do nothing: nobody else trains along."""

    def settle(self) -> None:
        """Do nothing: training is in the model's variables."""

    def close(self) -> None:
        """Do nothing: each call of fit is over."""

    def train(self, epoch: Epoch, done: int = 0) -> Chunk:
        """Train a chunk of an epoch, a cheap one whole, after the ``done`` steps that were trained of it."""
        steps = self._chunker.steps(epoch.batch_size) if self._chunker else None
        callbacks: list[Any] = [PutBack(self._accumulated)] if done else []
        if averages_weights(self.compiled.model):
            callbacks.append(KeepWeights())
        options: dict[str, Any] = {"callbacks": callbacks} if callbacks else {}
        options |= {"shuffle": False, "epochs": 1, "verbose": 0}
        self._take_numbers()
        began = time.perf_counter()
        chunk = self._fit(epoch, done, steps, options)
        if self._chunker:
            self._chunker.note(epoch.batch_size, chunk.steps - done, time.perf_counter() - began)
        if chunk.metrics is None:
            self._accumulated = arrays_of(self.compiled.model.metrics_variables)
        if chunk.metrics is None or isinstance(self._dataset, StreamedDataset):
            set_own_generator(self._drawn)  # fit may have drawn once more after its last step
        return chunk

    def _fit(self, epoch: Epoch, done: int, steps: int | None, options: dict[str, Any]) -> Chunk:
        """Let ``fit`` train so many steps; None: to the end of the epoch."""
        fit, size = self.compiled.model.fit, epoch.batch_size
        if isinstance(self._dataset, StreamedDataset):
            cursor = self._tensors.cursor
            cursor.seek(epoch, done, self.compiled.labels)
            if steps is not None:
                # Where fit has to find the end itself, a step without data has counted, in optimizer and generators.
                steps = max(1, min(steps, -(-self._dataset.train.rows // size) - done))
                options["steps_per_epoch"] = steps
            history = fit(self._feed("training").of_one(cursor.batches(steps)), **options)
            return Chunk(cursor.read, _metrics(history) if cursor.over else None)
        order = self._tensors.order(epoch)
        rows = order[done * size :][: None if steps is None else steps * size]
        x, y, *weight = keras.tree.map_structure(lambda array: array[rows], self._rows("train"))
        options |= {"sample_weight": weight[0]} if weight else {}
        history = fit(x, y, batch_size=size, **options)
        done += -(-len(rows) // size)
        return Chunk(done, _metrics(history) if done * size >= len(order) else None)

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated by the middle of an epoch."""
        return tuple(self._accumulated)

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated. Some of them exist only once a step was trained."""
        if RUNS_PYTHON or len(self.compiled.model.metrics_variables) != len(accumulated):
            x, y, *_ = next(self.batches(0, 1))
            self.compiled.model.fit(x, y, batch_size=1, shuffle=False, verbose=0)
        self._accumulated = accumulated

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield (x, y), or (x, y, sample weights), of training rows without end."""
        if isinstance(self._dataset, StreamedDataset):
            for again in itertools.count(seed):
                yield from self._batches("train", batch_size, again)
        data = self._rows("train")
        for rows in index_batches(seed, batch_size, self._dataset.train.rows):
            yield keras.tree.map_structure(lambda array, rows=rows: array[rows], data)

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""
        self._take_numbers()
        self.compiled.model.reset_metrics()
        results = self.compiled.model.train_on_batch(*batch, return_dict=True)
        return plain(results)["loss"]

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split, and those asked for by name."""
        self.by_name.reset()
        with self.by_name.listening():
            return plain(self.by_name.beside(self._evaluated(split)))

    def _evaluated(self, split: SplitName) -> dict[str, Any]:
        options: dict[str, Any] = {"verbose": 0, "return_dict": True}
        if isinstance(self._dataset, StreamedDataset):
            stream = self._feed("evaluation").of_one(self._batches(split, 1024, None))
            return dict(self.compiled.model.evaluate(stream, **options))
        x, y, *weight = self._rows(split)
        options |= {"sample_weight": weight[0]} if weight else {}
        return dict(self.compiled.model.evaluate(x, y, batch_size=1024, **options))

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the loss of each row of a split, in its order; the loss of all where no row's is known."""
        streamed = isinstance(self._dataset, StreamedDataset)
        batches = self._batches(split, EVALUATION_BATCH, None) if streamed else [self._rows(split)]
        found = losses_by_row(self.compiled, batches)
        return [self.evaluate(split)["loss"]] if found is None else found

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows, in eager forward passes."""
        if not self.batch_norm.layers:
            return
        model = self.compiled.model
        norm = self.batch_norm
        with norm.recalibrating(model), norm.counting_calls(), without_gradients():
            for batch in self._training_batches():
                model(batch, training=True)

    def _training_batches(self) -> Any:
        if isinstance(self._dataset, StreamedDataset):
            seen = 0
            for x, *_ in self._batches("train", RECALIBRATION_BATCH, 0):
                yield x
                seen += row_count(x)
                if seen >= 10_000:
                    return
            return
        rows, x = recalibration_rows(self._dataset.train.rows), self._rows("train")[0]
        for start in range(0, len(rows), RECALIBRATION_BATCH):
            chosen = rows[start : start + RECALIBRATION_BATCH]
            yield keras.tree.map_structure(lambda array, chosen=chosen: array[chosen], x)

    def _rows(self, split: SplitName) -> tuple[Any, ...]:
        return self._tensors.rows(split, self.compiled.labels)

    def _batches(self, split: SplitName, size: int, seed: int | None) -> Iterator[Any]:
        return self._tensors.batches(split, self.compiled.labels, size, seed)

    def _feed(self, purpose: str) -> Feed:
        """Return what turns a stream into what ``fit`` takes; of one purpose are those that are never read at once."""
        if purpose not in self._feeds:
            self._feeds[purpose] = Feed(self._tensors.first_batch(self.compiled.labels))
        return self._feeds[purpose]


def _metrics(history: Any) -> dict[str, float]:
    if not isinstance(getattr(history, "history", None), dict):
        raise TrialError(
            f"fit(): expected Keras's History in return. Received: {type(history).__name__}."
        )
    return plain({name: values[-1] for name, values in history.history.items()})
