"""Training by one call of Keras's ``fit`` over all epochs: of a model with a fit of its own, or one with callbacks.

The call runs in a thread of its own and waits at each epoch's end until the next one is asked for. The caller waits
meanwhile, so only one of the two ever runs. Callbacks, schedules and the model see what they see in plain Keras.
"""

from __future__ import annotations

import inspect
import itertools
import operator
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import keras

from orchestrator.data import StreamedDataset
from orchestrator.training.backend import Chunk, Epoch, Fitting, SplitName, Tensors
from orchestrator.training.fit_backend import FitBackend
from orchestrator.training.keras_internals import VALIDATES, Order, rows_in, thread_state
from orchestrator.training.process_state import kept_generator_state
from orchestrator.training.reported import plain
from orchestrator.training.row_metrics import FiguresByName
from orchestrator.training.state_transfer import seed_states
from orchestrator.training.trial_model import Compiled, arrays_of, assign_all, kept


class OneFitBackend(FitBackend):
    """Trains by one call of ``fit``, from a later ``initial_epoch`` where the first epochs were trained before."""

    def __init__(
        self,
        compiled: Compiled,
        tensors: Tensors,
        asked_momentum: float,
        by_name: FiguresByName,
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
        """Return False: a fit may have left anything in the model, so it is one trial's alone."""
        return False

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on: callbacks may have a memory."""
        return not self._counts

    def train(self, epoch: Epoch, done: int = 0) -> Chunk:
        """Train an epoch in one chunk."""
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
            return Chunk(0, None, ended=self._why_ended(epoch))
        self._next = (epoch.number + 1, epoch.batch_size)
        return self._chunk(epoch, plain(told.logs))

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split; what the fit draws next is not touched."""
        with kept_generator_state(), kept(seed_states(self.compiled.model)):
            return super().evaluate(split)

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
            if not options.get(VALIDATES):  # a call of somebody else's
                return evaluate(model, *given, **options)
            parts = keras.tree.flatten([options.get(name) for name in ("x", "y", "sample_weight")])
            parts = [part for part in parts if part is not None]
            are_ours = len(parts) == len(ours) and all(map(operator.is_, parts, ours))
            self._validated = are_ours and options.get("steps") is None
            if not self._validated:
                return evaluate(model, *given, **options)
            self.by_name.reset()
            with self.by_name.listening():
                return plain(self.by_name.beside(evaluate(model, *given, **options)))

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

        def passes() -> Iterator[Iterator[Any]]:
            for number in itertools.count(epoch.number):
                yield self._tensors.batches("train", labels, size, epoch.seed + number, number)

        return (self._feed("fit").of(passes),)

    def _validation_data(self) -> Any:
        if isinstance(self._dataset, StreamedDataset):
            return self._feed("its validation").of(
                lambda: [self._batches("validation", 1024, None)]
            )
        return self._rows("validation")

    def _chunk(self, epoch: Epoch, logs: dict[str, float]) -> Chunk:
        """Return an epoch's metrics; those over our validation rows where they surely are that."""
        steps = self._steps(epoch.batch_size)
        begins = "val_"
        metrics = {name: value for name, value in logs.items() if not name.startswith(begins)}
        found = {k.removeprefix(begins): v for k, v in logs.items() if k.startswith(begins)}
        validated, self._validated = self._validated, False
        return Chunk(steps, metrics, found if validated and found else None)

    def _steps(self, batch_size: int) -> int:
        return -(-self._dataset.train.rows // batch_size)

    def _why_ended(self, epoch: Epoch) -> str:
        who = "a callback" if self.compiled.model.stop_training else "its fit()"
        return f"{who} ended it after epoch {epoch.number}"

    def _state(self) -> Any:
        model = self.compiled.model
        variables = [*model.variables, *model.optimizer.variables]
        return variables, arrays_of(variables)

    def _without_callbacks(self, epoch: Epoch) -> Chunk:
        """Train by a fit that called no callback: each epoch is a call of its own."""
        self._counts = False
        if self._untrained is not None:
            assign_all(*self._untrained)
        return super().train(epoch, 0)


def _takes(model: Any, name: str) -> bool:
    """Return whether a model's fit can be given an argument of that name."""
    parameters = inspect.signature(type(model).fit).parameters.values()
    return any(p.name == name or p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


@dataclass(frozen=True)
class Told:
    """What a fit says when it waits: an epoch's logs, or that it is over, with what it returned or raised."""

    logs: dict[str, Any] | None
    over: bool = False
    raised: BaseException | None = None


class _GivenUp(BaseException):
    """Raised in a fit whose next epoch nobody will ask for."""


class OneFit:
    """A call of ``fit``, not begun, whose first epoch is number ``epoch``; ``counts`` says whether it calls callbacks.

    ``call`` takes the callback that counts epochs and has Keras's own fit call it.
    """

    def __init__(self, call: Callable[[keras.callbacks.Callback], Any], epoch: int) -> None:
        self.epoch = epoch
        self.counts = False
        self._call = call
        self._asked: queue.Queue[bool] = queue.Queue()
        self._told: queue.Queue[Told] = queue.Queue()
        self._logs: dict[str, Any] | None = None
        self._begun = False
        self._thread: threading.Thread | None = None
        self._ends = False
        self._closing = False
        self.over = False

    def next_epoch(self, order: Order) -> Told:
        """Train one epoch, its rows in ``order``; return its logs, or that there was none left."""
        if self.over:
            return Told(None, over=True)
        if self._thread is None:
            state = dict(thread_state())
            self._thread = threading.Thread(target=self._run, args=(state, order), daemon=True)
            self._thread.start()
        else:
            self._asked.put(True)
        return self._heard()

    def end(self) -> None:
        """Let a fit that has trained its last epoch end as it does; stop one that has not."""
        if self._thread is None or self.over:
            return
        self._closing = True
        self._asked.put(self._ends)
        while not self.over:
            self._heard()
        self._thread.join()

    def _heard(self) -> Told:
        told = self._told.get()
        self.over = told.over
        return told

    def _run(self, state: dict[str, Any], order: Order) -> None:
        thread_state().update(state)
        raised: BaseException | None = None
        try:
            with rows_in(order):
                self._call(_Gate(self))
        except _GivenUp:
            self._logs = None
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that asks for the next epoch)
            raised = error
        self._told.put(Told(self._logs, over=True, raised=raised))

    def begins(self) -> None:
        """Wait, where an epoch was trained before, until the next one is asked for."""
        self._wait()
        self.epoch += self.counts
        self.counts = self._begun = True

    def has_trained(self, logs: dict[str, Any]) -> None:
        """Take in an epoch's logs, to which other callbacks may still add.

        A loop of the user's own may call callbacks at the end of an epoch alone: then it waits here.
        """
        self._logs = logs
        if not self._begun:
            self.counts = True
            self._wait()
            self.epoch += 1
        self._begun = False

    def comes_to_its_end(self) -> None:
        """Wait before what Keras does once at the end, such as putting averages of weights in their place."""
        self._ends = True
        self._wait()

    def _wait(self) -> None:
        if self._closing:
            raise _GivenUp
        if self._logs is None:
            return
        logs, self._logs = self._logs, None
        self._told.put(Told(logs))
        if not self._asked.get():
            raise _GivenUp
        self._ends = False


class _Gate(keras.callbacks.Callback):  # type: ignore[misc]
    """Stands first among the callbacks. An epoch is over when the next one begins: the others have had their say."""

    def __init__(self, fit: OneFit) -> None:
        super().__init__()
        self._fit = fit

    def on_train_begin(self, logs: Any = None) -> None:
        """Have the fit wait before its end."""
        optimizer = self.model.optimizer
        finalise = type(optimizer).finalize_variable_values

        def at_the_end(variables: Any) -> None:
            self._fit.comes_to_its_end()
            finalise(optimizer, variables)

        object.__setattr__(optimizer, "finalize_variable_values", at_the_end)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Wait for the epoch to be asked for. Keras has reset the metrics before; a validation came in between."""
        self._fit.begins()
        self.model.reset_metrics()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take its logs."""
        self._fit.has_trained(logs if isinstance(logs, dict) else {})
