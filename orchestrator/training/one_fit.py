"""One call of Keras's ``fit`` over all epochs, driven epoch by epoch from outside.

The call runs in a thread of its own and waits at each epoch's end until the next one is asked for; whoever drives it
waits meanwhile, so only one of the two ever runs. Callbacks, schedules and the model see what they see in plain Keras.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.backend.common import global_state  # not public

from orchestrator.training.ordering import Order, rows_in


@dataclass(frozen=True)
class Told:
    """What a fit says when it waits: an epoch's logs, or that it is over, with what it returned or raised."""

    logs: dict[str, Any] | None
    over: bool = False
    raised: BaseException | None = None


class _GivenUp(BaseException):
    """Raised in a fit whose next epoch nobody will ask for."""


class OneFit:
    """A call of ``fit``, not begun, whose first epoch is number ``epoch``.

    ``call`` takes the callback that counts epochs and has Keras's own fit call it.
    """

    def __init__(self, call: Callable[[keras.callbacks.Callback], Any], epoch: int) -> None:
        self.epoch = epoch - 1
        self._call = call
        self._asked: queue.Queue[bool] = queue.Queue()
        self._told: queue.Queue[Told] = queue.Queue()
        self._logs: dict[str, Any] | None = None
        self._thread: threading.Thread | None = None
        self._ends = False
        self._closing = False
        self.over = False

    def next_epoch(self, order: Order) -> Told:
        """Train one epoch, its rows in ``order``; return its logs, or that there was none left."""
        if self.over:
            return Told(None, over=True)
        if self._thread is None:
            state = dict(vars(global_state.GLOBAL_STATE_TRACKER))
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
        vars(global_state.GLOBAL_STATE_TRACKER).update(state)  # Keras keeps it by thread
        raised: BaseException | None = None
        try:
            with rows_in(order):
                self._call(_Gate(self))
        except _GivenUp:
            self._logs = None
        except BaseException as error:  # noqa: BLE001 (raised on in the thread of whoever asks for the next epoch)
            raised = error
        self._told.put(Told(self._logs, over=True, raised=raised))

    def begins(self) -> None:
        """Wait, where an epoch was trained before, until the next one is asked for."""
        self._wait()
        self.epoch += 1

    def has_trained(self, logs: dict[str, Any]) -> None:
        """Take in an epoch's logs, to which other callbacks may still add."""
        self._logs = logs

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
