"""What is used of Keras that it keeps for itself, each use with its reason; the only module of ours that imports such.

``tests/training/test_keras_internals.py`` says which of them a new version of Keras has changed.
"""

from __future__ import annotations

import copy
import importlib
import random
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras.src.backend import config
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.random.seed_generator import global_seed_generator
from keras.src.saving import object_registration
from keras.src.trainers.data_adapters import array_slicing
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.utils import naming

from orchestrator.training.keras_backend import IS_TENSORFLOW, shuffled_by

# Layers, optimizers


def layers_of(model: Any) -> list[Any]:
    """Return the layers of a model and of the models in it: ``model.layers`` has the outermost alone.

    Keras has no public way to ask for them (keras-team/keras#4398).
    """
    return list(model._flatten_layers(include_self=False, recursive=True))


def norm_functions() -> Any:
    """Return the module in which Keras looks up ``moments`` and ``batch_normalization`` of its backend."""
    return importlib.import_module(f"keras.src.backend.{keras.backend.backend()}.nn")


def rate_held_by(optimizer: Any) -> Any:
    """Return what an optimizer holds as its learning rate: a variable, or a schedule, of which Keras shows a number."""
    return getattr(optimizer, "_learning_rate", None)


CURRENT_RATE = "_get_current_learning_rate"
"""The method that gives a step its learning rate. An optimizer that overrides it has one of its own kind."""


def built_on(optimizer: Any) -> list[Any]:
    """Return the variables that an optimizer updates; ``optimizer.variables`` are its own."""
    return list(optimizer._trainable_variables)


def on_one_replica(optimizer: Any) -> None:
    """Let an optimizer take gradients as they are, since there is one replica to sum them over.

    TensorFlow's ``all_reduce`` is a custom gradient, and each of those keeps its whole graph alive
    (tensorflow/tensorflow#97697): 2 MB and more for every program that is dropped.
    """
    object.__setattr__(optimizer, "_all_reduce_sum_gradients", lambda gradients: gradients)
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        on_one_replica(inner)


# What Keras keeps of how an object came to be, or by the number of a place in memory: no part of what is computed.
BOOKKEEPING = re.compile(
    r"_self_(?:unconditional|name_based|saveable|setattr|update_uid)|_auto_config$|_compile_config$|_tracker$|_nodes$|_obj_reference_counts|_trainable_variables_indices$"
    r"|_exclude_from_weight_decay_cache$|_initial_seed$|_distribut(?:e|ion)_strategy$|tracker$|_callable_losses_registered$|built$|_built$"
)


def is_cast(variable: Any) -> bool:
    """Return whether a variable is cast where layers compute in another precision, which Keras keeps to itself."""
    return bool(variable._autocast)


# Metrics


def compiled_metrics_are_built(model: Any) -> bool:
    """Return whether a step has updated a model's compiled metrics: else they have no results, and Keras raises.

    It does so for whoever asks for them (keras-team/keras#20188), and has no public way to see it coming.
    """
    compiled = getattr(model, "_compile_metrics", None)
    return compiled is None or compiled.built


_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")


def build_metrics(model: Any, rows: Any, have_variables: bool = False) -> None:
    """Make a compiled model's metrics of batches like ``rows``, (x, y) or (x, y, weights) with shapes and types.

    Keras makes those that are given by name in the first step, and TensorFlow traces a step twice that makes variables.
    A model with steps of its own is left alone: they may have no use for them. Where metrics ``have_variables``, they
    are only told of the labels and the outputs: to trace the steps for it takes a tenth of a program's trace.
    """
    if not all(getattr(type(model), step) is getattr(keras.Model, step) for step in _STEPS):
        return
    outputs: Any = getattr(model, "outputs", None) or ()
    if not have_variables or len(outputs) != 1:
        model._symbolic_build(data_batch=rows)
        return
    labels = keras.KerasTensor(rows[1].shape, rows[1].dtype.name)
    for each in (model._compile_metrics, model._compile_loss):
        each.build(labels, outputs[0])


def metrics_by_name(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each metric of a model that has seen a batch, under the name that its figure bears in the results.

    Keras gives the figures without their metrics, whose classes say whether more or less of them is good.
    """
    for metric in model.metrics:
        if type(metric).__name__ == "CompileMetrics":
            yield from _of_compile(metric)
        else:
            yield metric.name, metric


def _of_compile(compiled: Any) -> Iterator[tuple[str, Any]]:
    """Yield the metrics of ``compile``, named as ``CompileMetrics.result`` does."""
    if not compiled.built:
        return
    plain = [(output, False) for output in compiled._flat_metrics if output]
    weighted = [(output, True) for output in compiled._flat_weighted_metrics if output]
    seen: Counter[str] = Counter()
    for output, is_weighted in (*plain, *weighted):
        for metric in output.metrics:
            name = _prefixed(output, metric.name)
            if is_weighted and seen[name]:
                name = _prefixed(output, f"weighted_{metric.name}")
            yield f"{name}_{seen[name]}" if seen[name] else name, metric
            seen[name] += 1


def _prefixed(of_output: Any, name: str) -> str:
    return f"{of_output.output_name}_{name}" if of_output.output_name else name


def resets_variables_alone(model: Any) -> bool:
    """Return whether to reset a model's metrics is to set their variables, as Keras's own do, and nothing else."""
    compiled = getattr(model, "_compile_metrics", None)
    inside = compiled.metrics if compiled is not None and compiled.built else []
    resets = [type(metric).reset_state.__module__ for metric in (*model.metrics, *inside)]
    own = type(model).reset_metrics is not keras.Model.reset_metrics
    return not own and all(module.startswith("keras.src.") for module in resets)


def averaged_by(metric: Any) -> Any:
    """Return the function whose values a metric averages, as of ``metrics=[a_function]``; None of any other."""
    return getattr(metric, "_fn", None)


def is_loss(function: Any) -> bool:
    """Return whether a function is one of Keras's losses, whose module is private where its name is public."""
    module = getattr(function, "__module__", "") or ""
    return isinstance(function, keras.losses.Loss) or module.startswith("keras.src.losses")


VALIDATES = "_use_cached_eval_dataset"
"""What ``fit`` alone gives to ``evaluate``: a call with it is the validation after an epoch."""


# Names


def name_of_kind(kind: type) -> str:
    """Return what Keras names an object of a class that was given no name, without its number."""
    return str(naming.to_snake_case(kind.__name__))


def times_named(kind: str) -> int:
    """Return how often Keras has named an object so in this process: it numbers them (tensorflow/tensorflow#43645)."""
    return int((global_state.get_global_attribute(_NAMES) or {}).get(kind, 0))


def forget_names(counted: Mapping[str, int] | None = None) -> None:
    """Have Keras number layers, metrics and optimizers from the start, or from ``counted`` on.

    ``keras.utils.clear_session`` does it too, but throws away policies, and the generator that traced programs use.
    """
    thread_state()[_NAMES] = defaultdict(int, counted or {})


# The state of the process


_NAMES = "object_name_uids"
_GENERATOR = "global_seed_generator"
_first: list[Any] = []


def thread_state() -> dict[str, Any]:
    """Return what Keras keeps by thread: policies, names, its generator. A further thread begins with none of it."""
    state: dict[str, Any] = vars(global_state.GLOBAL_STATE_TRACKER)
    return state


def policies() -> dict[str, Any]:
    """Return what Keras keeps by thread besides names and its generator: the policy of precision, for one."""
    return {k: v for k, v in thread_state().items() if k not in (_NAMES, _GENERATOR)}


def policies_set() -> dict[str, Any]:
    """Return ``policies`` without those that Keras makes by itself when it first asks for them."""
    usual = {"dtype_policy": keras.DTypePolicy(keras.config.floatx()), "tracking_on": True}
    made = {k: v for k, v in policies().items() if k not in usual or v != usual[k]}
    return {name: value for name, value in made.items() if value not in (None, False, [], {})}


def put_policies_back(kept: Mapping[str, Any]) -> None:
    """Have the policies in force that ``policies`` returned, and no others."""
    state = thread_state()
    for name in policies().keys() - kept.keys():
        del state[name]
    state.update(kept)


def names_counted() -> dict[str, int]:
    """Return how often each kind of layer or metric was named."""
    return dict(thread_state().get(_NAMES, {}))


def switches() -> dict[str, Any]:
    """Return what holds for the whole process by name: Keras offers a function for each, but no list of them."""
    names = [name for name in vars(config) if name.startswith("_") and name.isupper()]
    return {name: getattr(config, name) for name in names}


def put_switches_back(kept: Mapping[str, Any]) -> None:
    """Have the switches that ``switches`` returned."""
    for name, value in kept.items():
        setattr(config, name, value)


def forget_registered(modules: str) -> None:
    """Take classes of modules that are named so out of Keras's registry, which would keep them alive."""
    names = object_registration.GLOBAL_CUSTOM_NAMES
    for kind in [kind for kind in names if kind.__module__.startswith(modules)]:
        object_registration.GLOBAL_CUSTOM_OBJECTS.pop(names.pop(kind), None)


def registered() -> dict[Any, str]:
    """Return the names of the classes and functions in Keras's registry."""
    return dict(object_registration.GLOBAL_CUSTOM_NAMES)


def register(kept: Mapping[Any, str]) -> None:
    """Have in Keras's registry, besides what is there, what ``registered`` returned."""
    object_registration.GLOBAL_CUSTOM_NAMES.update(kept)
    object_registration.GLOBAL_CUSTOM_OBJECTS.update({name: kind for kind, name in kept.items()})


def generator() -> Any:
    """Return the process's one generator, from which layers draw that have none of their own, in Keras's place for it.

    ``keras.utils.set_random_seed`` makes a new one (keras-team/keras#21874), which a traced program would not know of.
    """
    if not _first:
        _first.append(global_seed_generator())
    global_state.set_global_attribute(_GENERATOR, _first[0])
    return _first[0]


def generator_in_place() -> Any:
    """Return the generator that Keras uses now, which a trial's code may have replaced."""
    return global_seed_generator()


# The first values of variables


class SeedsDrawn:
    """Stands in for Python's generator where Keras draws a seed for what was given none, and notes the seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def randint(self, low: int, high: int) -> int:
        """Return a number from Python's generator."""
        self.seeds.append(random.randint(low, high))
        return self.seeds[-1]


@contextmanager
def watched_variables() -> Iterator[tuple[SeedsDrawn, dict[int, Any]]]:
    """Yield the seeds that Keras draws in the block, and what gives each variable its first value, by its ``id``."""
    drawn, initialisers = SeedsDrawn(), {}
    usual, initialise = seed_generator.python_random, keras.Variable._initialize_with_initializer

    def noted(variable: Any, initialiser: Any) -> None:
        initialisers[id(variable)] = initialiser
        initialise(variable, initialiser)

    seed_generator.python_random, keras.Variable._initialize_with_initializer = drawn, noted
    try:
        yield drawn, initialisers
    finally:
        seed_generator.python_random = usual
        keras.Variable._initialize_with_initializer = initialise


def seed_is_drawn(initialiser: Any) -> bool:
    """Return whether an initialiser is one of Keras's own, whose numbers depend on nothing but shape and ``seed``."""
    is_kerass = type(initialiser).__module__.startswith("keras.src.initializers")
    return is_kerass and isinstance(getattr(initialiser, "seed", None), int)


def default_seed() -> int:
    """Draw a seed from Python's generator as Keras does for what was given none."""
    return int(seed_generator.make_default_seed())


# The order of rows in ``fit``

Order = Callable[[int], np.ndarray]
"""Returns the order of so many rows in the epoch that is about to be trained."""

_asked = threading.local()


@contextmanager
def rows_in(order: Order) -> Iterator[None]:
    """Let ``fit`` in this block, in this thread, shuffle rows by ``order``, which is asked as each epoch begins.

    Keras draws it from its backend's generator, or NumPy's, whose state nobody can put back: a trial could neither be
    repeated on a warm worker nor go on after an interruption (tensorflow/tensorflow#58925). Nothing else of ``fit`` is
    touched.
    """
    before = getattr(_asked, "order", None)
    _asked.order = order
    try:
        yield
    finally:
        _asked.order = before


def _in_order(batches_of: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a method of Keras's that shuffles an array's rows as asked in this thread, if it is."""

    def batches(adapter: Any) -> Any:
        order: Order | None = getattr(_asked, "order", None)
        if order is None or adapter._shuffle is not True:
            return batches_of(adapter)
        rows = adapter._num_samples
        if IS_TENSORFLOW:
            with shuffled_by(lambda: order(rows).astype(np.int64), rows):
                return batches_of(adapter)
        return _of_ordered_rows(adapter, order)

    def _of_ordered_rows(adapter: Any, order: Order) -> Iterator[Any]:
        ordered, chosen = copy.copy(adapter), order(adapter._num_samples)  # as the epoch begins
        there = array_slicing.convert_to_sliceable(adapter._inputs, target_backend="numpy")
        ordered._inputs = keras.tree.map_structure(
            lambda rows: rows.convert_to_numpy(rows[chosen]), there
        )
        ordered._shuffle = False
        yield from batches_of(ordered)

    return batches


for _method in ("get_tf_dataset", "get_jax_iterator", "get_torch_dataloader"):
    setattr(ArrayDataAdapter, _method, _in_order(getattr(ArrayDataAdapter, _method)))
