"""What differs between Keras's backends, TensorFlow, JAX and PyTorch, and is used by more than one module.

Importing this imports Keras and its backend, and neither of the others.
"""

from __future__ import annotations

import base64
import functools
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import keras
import numpy as np

from orchestrator.data import joined, leaves, row_count

NAME: str = keras.backend.backend()
IS_TENSORFLOW = NAME == "tensorflow"
if IS_TENSORFLOW:
    import tensorflow as tf
elif NAME == "jax":
    import jax
else:
    import torch

Array = np.ndarray


def array_of(tensor: Any) -> Array:
    """Return a copy of the values of a tensor or a variable."""
    if not IS_TENSORFLOW:
        return np.array(keras.ops.convert_to_numpy(tensor))
    if isinstance(tensor, keras.Variable):  # in one operation: a conversion takes twice as long
        held = tensor.value
        tensor = tf.raw_ops.ReadVariableOp(resource=held.handle, dtype=held.dtype)
    copy: Array = tf.convert_to_tensor(tensor).numpy()
    return copy


def assign(variable: Any, value: Any) -> None:
    """Give a variable a value, as its own ``assign`` does, which takes four times as long for an array that fits."""
    fits = IS_TENSORFLOW and isinstance(variable, keras.Variable) and isinstance(value, np.ndarray)
    if fits and (value.shape, value.dtype.name) == (tuple(variable.shape), variable.dtype):
        tf.raw_ops.AssignVariableOp(resource=variable.value.handle, value=value)
    else:
        variable.assign(value)


def as_floats(tensor: Any) -> Array:
    """Return the values of a tensor or an array in single precision: NumPy knows no brain floats."""
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))


def has_values(tensor: Any) -> bool:
    """Return whether a tensor is no mere stand-in for one, nor a handle of something else."""
    if IS_TENSORFLOW:
        return hasattr(tensor, "numpy") and tensor.dtype not in (tf.resource, tf.variant)
    if NAME == "jax":
        is_key = jax.dtypes.issubdtype(tensor.dtype, jax.dtypes.prng_key)
        return not (is_key or isinstance(tensor, jax.core.Tracer))
    return True


def constant(values: Any) -> Any:
    """Return an array as a tensor, which TensorFlow copies; JAX and PyTorch take batches of arrays as they are."""
    return tf.constant(values) if IS_TENSORFLOW else np.asarray(values)


def rows_at(tensor: Any, chosen: Array) -> Any:
    """Return the rows of a tensor or an array by their numbers."""
    return tf.gather(tensor, chosen) if IS_TENSORFLOW else tensor[chosen]


class Feed:
    """Streams as ``fit`` takes them; ``first`` shows the shapes and types of all batches.

    TensorFlow traces what reads them once, and is handed neighbouring batches as one, which it cuts again: to call
    Python for each would take longer than a small step.
    """

    def __init__(self, first: Any) -> None:
        self._first = first
        self._groups: Callable[[], Iterator[Any]] = lambda: iter(())

    def of(self, passes: Callable[[], Iterable[Iterator[Any]]]) -> Any:
        """Return the batches of one pass after another, which begin anew whenever they are asked for."""
        if not IS_TENSORFLOW:
            return _one_by_one(passes())
        self._groups = lambda: itertools.chain.from_iterable(map(in_groups, passes()))
        return self._read_by_python

    def of_one(self, batches: Iterator[Any]) -> Any:
        """Return the batches of a pass to be read once, before another is given. A short one is read here and now.

        To call Python at all costs TensorFlow more than such a pass. Its length remains unknown, as that of others.
        """
        if not IS_TENSORFLOW:
            return _one_by_one([batches])
        groups = in_groups(batches)
        begun = list(itertools.islice(groups, 2))
        if len(begun) != 1:
            self._groups = lambda: itertools.chain(begun, groups)
            return self._read_by_python
        rows, size = begun[0]
        slices = tf.data.Dataset.from_tensor_slices(rows)
        return slices.batch(row_count(rows)).rebatch(size).prefetch(2)

    @functools.cached_property
    def _read_by_python(self) -> Any:
        batch = keras.tree.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), self._first
        )
        groups = tf.data.Dataset.from_generator(
            lambda: self._groups(), output_signature=(batch, tf.TensorSpec((), tf.int64))
        )
        batches = groups.prefetch(1).flat_map(
            lambda group, size: tf.data.Dataset.from_tensors(group).rebatch(size)
        )
        return batches.prefetch(2)


def _one_by_one(passes: Iterable[Iterator[Any]]) -> Iterator[Any]:
    """Yield the batches of all passes; Keras asks for a generator."""
    for batches in passes:
        yield from batches


GROUP_BYTES = 4 * 2**20
GROUP_SECONDS = 0.02
"""How long batches are gathered for a group. A slow stream's are passed on one by one: training need not wait."""


def in_groups(batches: Iterator[Any]) -> Iterator[tuple[Any, int]]:
    """Yield batches joined to one, with the rows of each, as far as they come quickly and are small.

    All batches of a group have as many rows; its last may have fewer.
    """
    held: list[Any] = []
    size = held_bytes = 0
    began = time.perf_counter()
    for batch in batches:
        rows = row_count(batch)
        if held and rows > size:
            yield joined(held), size
            held, held_bytes, began = [], 0, time.perf_counter()
        size = size if held else rows
        held.append(batch)
        held_bytes += sum(array.nbytes for _, array in leaves(batch))
        full = held_bytes >= GROUP_BYTES or time.perf_counter() - began >= GROUP_SECONDS
        if full or rows < size:
            yield joined(held), size
            held, held_bytes, began = [], 0, time.perf_counter()
    if held:
        yield joined(held), size


@contextmanager
def shuffled_by(order: Callable[[], Array], rows: int) -> Iterator[None]:
    """Have TensorFlow shuffle so many rows by ``order``, asked in the graph, where the block shuffles them."""

    def ordered(indices: Any, *given: Any, **options: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(order, [], tf.int64), (rows,))

    shuffle = tf.random.shuffle
    tf.random.shuffle = ordered
    try:
        yield
    finally:
        tf.random.shuffle = shuffle


def jit_compile() -> Any:
    """Return what Keras is told of XLA: in TensorFlow it costs more than it gains on small models."""
    return False if IS_TENSORFLOW else "auto"


def seed_own_generator(seed: int) -> None:
    """Seed the backend's own generator, from which only a user's code draws. JAX has none."""
    if IS_TENSORFLOW:
        tf.random.set_seed(seed)
    elif NAME == "torch":
        torch.manual_seed(seed)


def own_generator() -> tuple[str, ...]:
    """Return the state of PyTorch's generator, from which Keras's Dropout draws there; of the others there is none."""
    if NAME != "torch":
        return ()
    return (base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode(),)


def set_own_generator(state: Sequence[str]) -> None:
    """Put that back; nothing where there is none, or another backend's."""
    for each in state if NAME == "torch" else ():
        torch.set_rng_state(torch.frombuffer(bytearray(base64.b64decode(each)), dtype=torch.uint8))


RUNS_PYTHON = NAME == "torch"
"""Whether each step is Python: nothing is traced that another trial could use again, and all is ready at once."""


@functools.cache
def is_tensorflow_on_a_cpu() -> bool:
    """Return whether TensorFlow computes, with no GPU: so its operations are those whose bits are known here."""
    return IS_TENSORFLOW and not tf.config.list_physical_devices("GPU")


def traced_graph() -> Any:
    """Return the graph that TensorFlow traces just now, None where it traces none."""
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


def runs_eagerly() -> bool:
    """Return whether all of TensorFlow's functions are to run as Python, as users may set it."""
    return bool(IS_TENSORFLOW and tf.config.functions_run_eagerly())


def run_eagerly(eagerly: bool) -> None:
    """Set that."""
    if runs_eagerly() != eagerly:
        tf.config.run_functions_eagerly(eagerly)


def without_gradients() -> AbstractContextManager[Any]:
    """Return what a forward pass runs in where nothing is learned."""
    return torch.no_grad() if NAME == "torch" else nullcontext()


def inference(model: Any) -> Callable[[Any], Any]:
    """Return a function of batches that gives the model's outputs at prediction.

    In JAX it is compiled, with the variables' values and the layers' code of this moment, and changes no state.
    """
    if NAME != "jax":

        def outputs_of(x: Any) -> Any:
            with without_gradients():
                return model(x, training=False)

        return outputs_of
    state = [[v.value for v in part] for part in _parts(model)]

    @jax.jit  # type: ignore[untyped-decorator]
    def call(trainable: Any, others: Any, x: Any) -> Any:
        return model.stateless_call(trainable, others, x, training=False)[0]

    return lambda x: call(*state, x)


def _parts(model: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    return model.trainable_variables, model.non_trainable_variables


def told(function: Callable[..., None], *tensors: Any) -> None:
    """Call a function with the values of tensors, each of them an array: in JAX whenever the compiled step runs.

    It may compute nothing by the backend.
    """
    if NAME == "jax":
        from jax.experimental import io_callback

        def call(*given: Any) -> None:
            function(*jax.tree.map(np.array, given))

        io_callback(call, None, *tensors, ordered=True)
    else:
        function(*(keras.tree.map_structure(array_of, one, none_is_leaf=False) for one in tensors))


def wait_for_told() -> None:
    """Wait until such functions were called, where steps run on while Python does."""
    if NAME == "jax":
        jax.effects_barrier()


class LiveNumber:
    """A number that training reads anew at each step, as an attribute of a layer or an optimizer, or of nobody.

    TensorFlow has it in a variable outside Keras's tracking, so that it is no part of a model's saved state. In JAX it
    is one too, and an argument of the compiled step (``live_steps``). PyTorch traces nothing: it is a plain number.
    """

    def __init__(self, value: float, owner: Any = None, name: str = "") -> None:
        self._owner, self._name = owner, name
        self.held: Any = float(value)
        if IS_TENSORFLOW:
            self.held = tf.Variable(float(value), trainable=False, dtype=tf.float32)
        elif NAME == "jax":
            self.held = keras.Variable(
                float(value), trainable=False, dtype="float32", autocast=False
            )
        self._give()

    def _give(self) -> None:
        if self._owner is not None:
            object.__setattr__(self._owner, self._name, self.held)

    def assign(self, value: Any) -> None:
        """Put another value in force."""
        if NAME == "torch":
            self.held = float(value)
            self._give()
        elif IS_TENSORFLOW and isinstance(value, float) and tf.executing_eagerly():
            tf.raw_ops.AssignVariableOp(resource=self.held.handle, value=float(value))
        else:
            self.held.assign(value)

    def __float__(self) -> float:
        return float(self.held)


def live_steps(model: Any, numbers: Sequence[LiveNumber]) -> bool:
    """Have ``fit`` of a model take live numbers as they are at each step; return whether it does.

    In JAX they become arguments of the compiled step: Keras's own has the values of its first call built in. A model
    that compiles its step in its own way stays as it is.
    """
    if NAME != "jax" or model.run_eagerly or not model.jit_compile:
        return True
    if type(model).make_train_function is not keras.Model.make_train_function:
        return False
    step = model.train_step

    def with_numbers(state: Any, values: Sequence[Any], data: Any) -> Any:
        with in_place(numbers, values):
            return step(state, data)

    compiled = jax.jit(with_numbers, donate_argnums=0)

    def train_function(state: Any, batches: Iterator[Any]) -> Any:
        values = [number.held.value for number in numbers]
        logs, state = compiled(state, values, next(batches))
        for _ in range(model.steps_per_execution - 1):
            batch = next(batches, None)
            if batch is None:
                break
            logs, state = compiled(state, values, batch)
        return logs, state

    model.train_function = train_function
    return True


@contextmanager
def in_place(numbers: Sequence[LiveNumber], values: Sequence[Any]) -> Iterator[None]:
    """Have numbers be the arguments of the function that is traced in the block; only on JAX."""
    before = [number.held.value for number in numbers]
    for number, value in zip(numbers, values, strict=True):
        number.held.assign(value)
    try:
        yield
    finally:
        for number, value in zip(numbers, before, strict=True):
            number.held.assign(value)


if IS_TENSORFLOW:
    SHOWN: tuple[type, ...] = (tf.DType, tf.TensorShape)
    STATEFUL: tuple[type, ...] = (tf.Variable, tf.random.Generator)
    TENSORS: tuple[type, ...] = (tf.Tensor, tf.Graph)
elif NAME == "jax":
    SHOWN, STATEFUL, TENSORS = (), (), (jax.Array,)
else:
    SHOWN, STATEFUL, TENSORS = (torch.dtype,), (torch.Generator,), (torch.Tensor,)
"""What is compared by how it is shown, what has a state of its own, and what may have values, in a user's model."""
