"""Trials of one structure as lanes of one JAX program: an epoch of all of them is one call.

A lane's step is the model's own ``train_step``, under ``vmap``; the epoch is a ``lax.scan`` over its batches, the last,
partial one after it. What differs from lane to lane is an argument: weights, averages, slots and generator states, the
order of rows, the learning rate and every other live number, the rates of Dropout layers.

Each lane has a trainer and a model of its own, as any trial has. The model holds the trial's state before its first
epoch and whenever it is asked for; in between it lies here, a row of arrays that all lanes share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from orchestrator.errors import said_by, shortened
from orchestrator.training.backend import Chunk, Epoch, Slot, SplitName, Tensors
from orchestrator.training.fit_backend import FitBackend
from orchestrator.training.hyperparameters import batch_size_of
from orchestrator.training.lane_program import (
    LaneProgram,
    State,
    dropouts,
    program_key,
    why_no_lane,
)
from orchestrator.training.optimizers import rate_variable
from orchestrator.training.reported import plain
from orchestrator.training.row_metrics import FiguresByName, HeardRows
from orchestrator.training.task import TrainingTask
from orchestrator.training.trial_model import Built, Compiled, assign_all

Key = tuple[str, int]
"""A structure, and the size of its batches."""
NOT_TRACED = (TypeError, ValueError, AttributeError, LookupError, NotImplementedError, RuntimeError)
"""What a layer raises that cannot be traced so; JAX's own errors among them."""


@dataclass
class Lanes:
    """The banks of a worker, one a structure and batch size; ``most`` is how many lanes there are in all of them.

    ``all_of_them``: each program has as many, taken or not, so that no trial's last digit depends on who trains beside.
    """

    most: int
    tensors: Tensors
    all_of_them: bool = False
    banks: dict[Key, Bank] = field(default_factory=dict)

    def have(self, most: int) -> None:
        """Have so many lanes from here on, of which none is taken."""
        self.most = most
        for bank in self.banks.values():
            bank.have(most)

    def key(
        self, built: Built, task: TrainingTask, hyperparameters: Mapping[str, Any]
    ) -> tuple[Key | None, str | None]:
        """Return what is equal for models that one program trains, not compiled yet; or None, and why."""
        why_not = why_no_lane(built, task, hyperparameters)
        if why_not is not None:
            return None, why_not
        return (program_key(built, task, hyperparameters), batch_size_of(hyperparameters)), None

    def slot(
        self,
        key: Key,
        compiled: Compiled,
        asked_momentum: float,
        by_name: FiguresByName,
        comes_next: Callable[[], Epoch],
    ) -> Slot:
        """Return a lane for a model of a structure that ``key`` names."""
        lane = LaneBackend(compiled, self.tensors, asked_momentum, by_name)
        lane.comes_next = comes_next
        lane.bank_of = partial(self._bank, lane, key[0])
        lane.slot = Slot(lane, None)
        lane.enter(lane.bank_of(key[1]))
        return lane.slot

    def _bank(self, lane: LaneBackend, structure: str, batch_size: int) -> Bank:
        """Return the bank of a lane's structure for batches of that size."""
        key = structure, batch_size
        if key not in self.banks:
            self.banks[key] = Bank(lane, self, batch_size)
        return self.banks[key]


class LaneBackend(FitBackend):
    """A trial whose epochs a bank trains along with others'; by itself, as ``fit`` does, where the bank cannot."""

    bank: Bank
    bank_of: Callable[[int], Bank]
    slot: Slot
    comes_next: Callable[[], Epoch]

    def __init__(
        self,
        compiled: Compiled,
        tensors: Tensors,
        asked_momentum: float,
        by_name: FiguresByName,
    ) -> None:
        super().__init__(compiled, tensors, asked_momentum, by_name)
        self.result: Chunk | None = None
        assert isinstance(by_name, HeardRows)  # noqa: S101
        self.heard = by_name
        self.path: Literal["compiled", "fit"] = "compiled"
        self.is_seated = False
        self._is_behind = False
        self._is_amid = False
        self._dropouts = dropouts(compiled.model)
        self._rate_variable = rate_variable(compiled.model.optimizer)

    def get_ready(self) -> None:
        """Have a bank train the next epoch along with others', unless one is under way that ``fit`` has begun."""
        if self._is_amid:
            return
        epoch = self.comes_next()
        bank = self.bank_of(epoch.batch_size)
        if bank is not self.bank:
            self.settle()
            self.bank.leave(self)
            self.enter(bank)
        if bank.why_not is None:
            bank.waiting[self] = epoch

    def enter(self, bank: Bank) -> None:
        """Belong to a bank, whose next epoch has a row for the lane."""
        self.bank, self.slot.reason = bank, bank.why_not
        self.path = "fit" if bank.why_not else "compiled"

    def close(self) -> None:
        """Leave the lane to another trial."""
        self.bank.leave(self)
        self.result, self._is_behind, self._is_amid = None, False, False

    def train(self, epoch: Epoch, done: int = 0) -> Chunk:
        """Return the epoch that was trained with the others', or have all of them trained."""
        if self.result is None and self not in self.bank.waiting:
            self.get_ready()  # a lane alone has nobody to wait for
        if self.result is None and self in self.bank.waiting:
            self.bank.train()
        if self.result is None:
            return self._by_itself(epoch, done)
        result, self.result = self.result, None
        self._is_behind = True
        return result

    def _by_itself(self, epoch: Epoch, done: int) -> Chunk:
        self.settle()
        self.bank.leave(self)
        chunk = super().train(epoch, done)
        self._is_amid = chunk.metrics is None
        return chunk

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated, in the middle of an epoch."""
        super().go_on(accumulated)
        self._is_amid = True

    def settle(self) -> None:
        """Have the model hold the trial's state."""
        if self._is_behind:
            self._is_behind = False
            for variables, values in zip(self.parts, self.bank.state_of(self), strict=True):
                assign_all(variables, values)

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""
        self.settle()
        return super().evaluate(split)

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the loss of each row of a split, in its order."""
        self.settle()
        return super().row_losses(split)

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages, as the lane then has them."""
        self.settle()
        self.bank.leave(self)
        super().recalibrate()

    @property
    def parts(self) -> tuple[list[Any], list[Any], list[Any]]:
        """Return the variables whose values are the trial's state."""
        model = self.compiled.model
        return (
            list(model.trainable_variables),
            list(model.non_trainable_variables),
            list(model.optimizer.variables),
        )

    def values_in_force(self) -> list[float]:
        """Return the lane's own numbers in force: α, the live ones, what its Dropout layers keep."""
        kept = [1.0 - float(layer.rate) for layer in self._dropouts]
        return [float(self._rate_variable), *map(float, self.numbers), *kept]

    def figures(self, own: Mapping[str, Any], batches: Sequence[tuple[Any, Any, Any]]) -> Any:
        """Return a validation's figures, those asked for by name beside the model's own."""
        self.heard.reset()
        for batch in batches:
            self.heard.take(*batch)
        return plain(self.by_name.beside(dict(own)))


class Bank:
    """Lanes of one structure, and the program that trains an epoch of all of them."""

    def __init__(self, first: LaneBackend, lanes: Lanes, batch_size: int) -> None:
        self.waiting: dict[LaneBackend, Epoch] = {}
        self.why_not: str | None = None
        self.traced = 0
        self.compile_seconds = 0.0
        self._tensors, self._most, self._all = lanes.tensors, lanes.most, lanes.all_of_them
        listens = bool(first.heard.names)
        given = (first.compiled, first.numbers, listens, self._tensors, batch_size)
        self._program = LaneProgram(*given)
        self._seats: list[LaneBackend | None] = []
        self._state: State = ([], [], [])
        self._rows: State | None = None
        self._compiled: dict[int, Any] = {}

    def have(self, most: int) -> None:
        """Have so many lanes from here on, of which none is taken; programs of more are let go of."""
        self._most, self._seats, self._state, self._rows = most, [], ([], [], []), None
        self._compiled = {size: each for size, each in self._compiled.items() if size <= most}

    def program_for(self, lane: LaneBackend, epoch: Epoch, lanes: int, steps: int) -> Any:
        """Return the program of so many lanes and its arguments, each lane like the one given; None for none.

        Its epoch has the first ``steps`` of a whole one's; only that of a whole one is kept for trials.
        """
        self.have(max(lanes, self._most))
        self._seats = [lane] * lanes
        self._state = jax.tree.map(jnp.asarray, self._host_rows(lanes, lane))
        given = self._given({lane: epoch}, steps)
        whole = given[1][1].shape[1] == self._tensors.dataset.train.rows
        program = self._program_of(given)
        if not whole:
            self._compiled.pop(lanes, None)
        self.have(self._most)
        return (program, given) if program is not None else None

    def leave(self, lane: LaneBackend) -> None:
        """Have a lane be free."""
        self.waiting.pop(lane, None)
        self._seats = [None if each is lane else each for each in self._seats]
        lane.is_seated = False

    def state_of(self, lane: LaneBackend) -> Any:
        """Return the values of a lane's variables."""
        if self._rows is None:
            self._rows = jax.tree.map(np.asarray, self._state)
        at = self._seats.index(lane)
        return jax.tree.map(lambda values: values[at], self._rows)

    def train(self) -> None:
        """Train the next epoch of each lane that waits for one; each gets its figures, or what was raised."""
        epochs = self.waiting
        self._seat()
        given = self._given(epochs)
        program = self._program_of(given)
        if program is None:
            return
        began = time.perf_counter()
        self._state, *found = program(*given)
        self.waiting, self._rows = {}, None
        logs, validation, outputs = jax.tree.map(np.asarray, found)
        seconds = time.perf_counter() - began
        for at, lane in enumerate(self._seats):
            if lane in epochs:
                mine = jax.tree.map(lambda values, at=at: values[at], (logs, validation, outputs))
                lane.result = self._chunk(lane, seconds, *mine)

    def _seat(self) -> None:
        """Give each member a row; as few rows as a program was made for, or the next power of two."""
        new = [lane for lane in self.waiting if not lane.is_seated]
        wanted = len(self._seats) - self._seats.count(None) + len(new)
        fitting = [size for size in self._compiled if size >= wanted]
        count = min(fitting, default=min(self._most, 1 << (wanted - 1).bit_length()))
        count = self._most if self._all else count
        if count < len(self._seats):
            self._close_up(count)
        seats = [*self._seats, *[None] * (count - len(self._seats))]
        free = [at for at, lane in enumerate(seats) if lane is None]
        rows = None if not new and count == len(self._seats) else self._host_rows(count, new[0])
        for lane, at in zip(new, free, strict=False):
            seats[at], lane.is_seated = lane, True
            for part, variables in zip(rows or (), lane.parts, strict=True):
                for values, variable in zip(part, variables, strict=True):
                    values[at] = np.asarray(variable.value)
        self._seats = seats
        if rows is not None:
            self._state, self._rows = jax.tree.map(jnp.asarray, rows), None

    def _close_up(self, count: int) -> None:
        """Have fewer rows, those of the members first."""
        members = [at for at, lane in enumerate(self._seats) if lane is not None]
        chosen = np.array([*members, *[0] * (count - len(members))])
        self._state = jax.tree.map(lambda rows: jnp.asarray(np.asarray(rows)[chosen]), self._state)
        self._rows = None
        seats = [self._seats[at] for at in members]
        self._seats = [*seats, *[None] * (count - len(seats))]

    def _host_rows(self, count: int, lane: LaneBackend) -> State:
        """Return all lanes' states as arrays of ``count`` rows; one that nobody has yet is like ``lane``'s."""
        like = [[np.asarray(v.value) for v in part] for part in lane.parts]
        rows: Any = jax.tree.map(lambda value: np.stack([value] * count), like)
        for part, held in zip(rows, self._state, strict=True):
            for values, old in zip(part, held, strict=False):
                values[: len(old)] = np.asarray(old)
        return (rows[0], rows[1], rows[2])

    def _given(
        self, epochs: Mapping[LaneBackend, Epoch], steps: int | None = None
    ) -> tuple[Any, ...]:
        """Return the program's arguments; a row of nobody, or of one that does not train now, is as another's."""
        of = next(iter(epochs))
        rows = self._tensors.dataset.train.rows
        most = None if steps is None else steps * epochs[of].batch_size
        orders = {lane: each.order(rows).astype(np.int32)[:most] for lane, each in epochs.items()}
        numbers = {lane: lane.values_in_force() for lane in epochs}
        trains = np.array([lane in epochs for lane in self._seats])
        like = [of if lane is None or lane not in epochs else lane for lane in self._seats]
        own = (
            np.array([numbers[lane] for lane in like], np.float32),
            np.stack([orders[lane] for lane in like]),
            trains,
        )
        return (self._state, own, *self._program.data)

    def _program_of(self, given: tuple[Any, ...]) -> Any:
        """Return the program for as many lanes as are given, compiled once; None where the model cannot be traced."""
        lanes = len(self._seats)
        if lanes in self._compiled or self.why_not is not None:
            return self._compiled.get(lanes)
        began = time.perf_counter()
        try:
            lowered = self._program.function.lower(*given)
        except NOT_TRACED as error:
            self.why_not = f"its step cannot be traced for several: {shortened(said_by(error))}"
        if self._program.draws.seen:
            self.why_not = "its step draws from NumPy's or Python's own generator"
        if self.why_not is not None:
            for lane in self.waiting:
                lane.slot.reason, lane.path = self.why_not, "fit"
            self.waiting = {}
            return None
        self.traced += 1
        self._compiled[lanes] = lowered.compile()
        self.compile_seconds += time.perf_counter() - began
        return self._compiled[lanes]

    def _chunk(
        self, lane: LaneBackend, seconds: float, logs: Any, validation: Any, outputs: Any
    ) -> Chunk:
        steps = -(-self._tensors.dataset.train.rows // self._program.batch_size)
        batches = self._program.heard(outputs)
        found = lane.figures(validation, batches)
        return Chunk(steps, plain(logs), found, seconds=seconds)
