"""What a user's builders make of a trial's hyperparameters: its model, built from its seed, and its Keras callbacks."""

from __future__ import annotations

import functools
import inspect
import math
import random
import re
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from orchestrator.catalog import CallableReference, UsersCode, source_texts
from orchestrator.errors import TrialError
from orchestrator.training.batch_norm import norm_layers
from orchestrator.training.constants import Constants, constants_of
from orchestrator.training.hyperparameters import RecordedHyperparameters
from orchestrator.training.keras_backend import IS_TENSORFLOW, NAME, seed_own_generator
from orchestrator.training.keras_internals import (
    forget_names,
    generator,
    names_counted,
    register,
    registered,
    watched_variables,
)
from orchestrator.training.keras_setup import register_again
from orchestrator.training.optimizers import unwrapped
from orchestrator.training.process_state import (
    builders_generator,
    draw_default_seeds,
    process_settings,
    set_generator_state,
    watched,
)
from orchestrator.training.task import OUTPUT_ACTIVATIONS, Kind, Shape, TrainingTask
from orchestrator.training.trial_model import Built, Origin, Stamps

BATCH_NORM_MOMENTUM = 0.9 + 2**-24
"""What a builder reads where the momentum follows the steps per epoch: the true value is set in a live variable.

A number that nobody writes, so that a layer's own momentum differs from one that was read.
"""


def build_model(
    reference: CallableReference,
    given: Mapping[str, Any],
    seed: int,
    shape: Shape,
    kind: Kind | None = "classification",
) -> Built:
    """Build a model from its seed. ``given`` are the trial's hyperparameters.

    ``kind`` is what a bundled model learns.
    The BatchNormalization momentum follows the steps per epoch where none is given: a bundled model's; a user's, where
    its builder asks for ``hp["batch_norm_momentum"]`` and thus has none of its own.
    Raises TrialError when what the builder returns is no Keras model.
    """
    momentum = _momentum(given)
    recorded = _recorded(reference, given, kind)
    generator()  # named by Keras too, where it is not there yet
    if reference.kind != "module":  # one that is imported once has made its layers before
        forget_names()
    set_seed(reference, seed)
    model, how = _run_builder(reference, recorded, shape, seed)
    if reference.kind != "bundled":
        check_nothing_is_shared(model, reference)
    all_reads = recorded.reads()
    reads = dict(all_reads)
    follows = reads.get("batch_norm_momentum") == momentum
    norms = norm_layers(model)
    if follows and norms and all(float(layer.momentum) == momentum for layer in norms):
        reads.pop("batch_norm_momentum", None)  # it is live: no trace depends on it
    compiled_by_user = getattr(model, "optimizer", None) is not None
    constants = Constants("", by_keras=True)
    if reference.kind != "bundled":
        constants = constants_of((model, process_settings()))
    asked_momentum = momentum if follows else float("nan")
    if how is not None:
        how = replace(how, given=given.keys(), reads=all_reads if constants.text else reads)
    return Built(model, reads, compiled_by_user, asked_momentum, *constants, how)


def _run_builder(
    reference: CallableReference, recorded: RecordedHyperparameters, shape: Shape, seed: int
) -> tuple[Any, Origin | None]:
    """Return the model, and how its variables got their values where that can be had again without the builder."""
    with (
        UsersCode(f"model {reference.text}", reference.runs_in),
        builders_generator(),
        watched() as seen,
        watched_variables() as (drawn, initialisers),
    ):
        builder = reference.load(fresh=True)
        register_again(reference)
        model = builder(recorded, *shape)
        _check(model, reference, shape.features)
    draws_alone = IS_TENSORFLOW and not _uses_tensorflow_random(reference)
    if not draws_alone or not seen.left_no_trace(seed, len(drawn.seeds)):
        return model, None
    noted, files = (names_counted(), registered()), stamps_of(seen.files)
    return model, Origin(tuple(drawn.seeds), initialisers, *noted, files)


def builds_again(
    built: Built, reference: CallableReference, given: Mapping[str, Any], kind: Kind | None
) -> bool:
    """Return whether a trial's builder would do what it did for ``built``, seed and random numbers aside."""
    origin = built.origin
    return (
        origin is not None
        and origin.given == given.keys()
        and _recorded(reference, given, kind).gives(origin.reads)
        and stamps_of(origin.files) == origin.files
    )


def begin_as_built(origin: Origin, reference: CallableReference, seed: int) -> list[int]:
    """Leave the process as a builder would for a seed; return the seeds that it would have drawn."""
    set_seed(reference, seed)
    seeds = draw_default_seeds(seed, len(origin.seeds))
    forget_names(origin.names)
    register(origin.registered)
    return seeds


def stamps_of(files: Iterable[str]) -> Stamps:
    """Return how files are now."""
    stamps: dict[str, tuple[int, int] | None] = {}
    for file in files:
        try:
            facts = Path(file).stat()
            stamps[file] = (facts.st_mtime_ns, facts.st_size)
        except OSError:
            stamps[file] = None
    return stamps


def set_followed_momentum(built: Built, momentum: float) -> None:
    """Give a momentum that follows the steps per epoch to the layers whose builder left it to training."""
    for layer in norm_layers(built.model):
        if float(layer.momentum) == BATCH_NORM_MOMENTUM:
            layer.momentum = momentum


def _momentum(given: Mapping[str, Any]) -> float:
    asked = given.get("batch_norm_momentum")
    return BATCH_NORM_MOMENTUM if asked is None else float(asked)


def _recorded(
    reference: CallableReference, given: Mapping[str, Any], kind: Kind | None
) -> RecordedHyperparameters:
    """Return what a builder sees: what the trial was given, the BatchNormalization momentum, a bundled head's kind."""
    name, momentum = "batch_norm_momentum", _momentum(given)
    activation = OUTPUT_ACTIVATIONS[kind] if reference.kind == "bundled" and kind else None
    values = {key: value for key, value in given.items() if key != name or value is not None}
    if activation is not None:
        values["output_activation"] = activation
    if reference.kind == "bundled" or name in values:
        return RecordedHyperparameters({**values, name: momentum})
    return RecordedHyperparameters(values, offered={name: momentum})


def set_seed(reference: CallableReference, seed: int) -> None:
    """Seed Python, NumPy, Keras's own generator and, for a builder that uses it, the backend's.

    Layers draw from the first three alone. TensorFlow's seeding throws every compiled kernel of the process away, which
    costs each trial on a warm program more than its first epoch. Keras's generator is set in place, where
    ``keras.utils.set_random_seed`` makes a new one that a traced program would not know of.
    """
    set_generator_state([seed, 0])
    if not IS_TENSORFLOW or _uses_tensorflow_random(reference):
        seed_own_generator(seed)
    random.seed(seed)
    np.random.seed(seed)


@functools.cache
def _uses_tensorflow_random(reference: CallableReference) -> bool:
    if reference.kind == "bundled":
        return False
    texts = source_texts(reference)
    uses = re.compile(r"\b(tf|tensorflow)\b.*(\brandom\b|\bdropout)|\.shuffle\(|\bdef fit\b")
    return not texts or any(map(uses.search, texts))


def reads_of(built: Built) -> set[str]:
    """Return the hyperparameters that a builder read."""
    return {*built.reads, *(() if math.isnan(built.asked_momentum) else ("batch_norm_momentum",))}


def _check(model: Any, reference: CallableReference, input_shape: Any) -> None:
    """Refuse what is no Keras model; build one that waits for its input, so that it has its variables."""
    if not isinstance(model, keras.Model):
        raise TrialError(
            f"model {reference.text}: expected a keras.Model. Received: {type(model).__name__}."
        )
    _check_steps(model, reference)
    if not model.built or not model.variables:
        model(symbolic(input_shape))


def _check_steps(model: Any, reference: CallableReference) -> None:
    """Refuse steps written for another backend: on JAX they take the model's state too, and return it."""
    expected = ("state", "data") if NAME == "jax" else ("data",)
    for name in ("train_step", "test_step"):
        taken = inspect.signature(getattr(model, name))
        try:
            taken.bind(*expected)
        except TypeError as error:
            raise TrialError(
                f"model {reference.text}: expected {name}(self, {', '.join(expected)}), as Keras calls it with"
                f" 'backend: {NAME}'. Received: {name}(self, {', '.join(taken.parameters)})."
            ) from error


def symbolic(shape: Any) -> Any:
    """Return Keras's stand-in for features of a shape, or of a dictionary or tuple of shapes."""
    if isinstance(shape, Mapping):
        return {name: symbolic(one) for name, one in shape.items()}
    if shape and isinstance(shape[0], tuple):
        return tuple(symbolic(one) for one in shape)
    return keras.Input(shape)


def make_callbacks(task: TrainingTask, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return a trial's callbacks, made after its model: none where the experiment names no function.

    Raises TrialError where it returns anything else than Keras callbacks.
    """
    reference = task.callbacks
    if reference is None:
        return ()
    where = f"callbacks {reference.text}"
    beside_the_model = (reference.kind, reference.place) == (task.model.kind, task.model.place)
    with UsersCode(where, reference.runs_in):
        made = reference.load(fresh=not beside_the_model)(RecordedHyperparameters(given))
    found = list(made) if isinstance(made, list | tuple) else [made]
    for each in found:
        if isinstance(each, keras.callbacks.BackupAndRestore):
            raise TrialError(
                f"{where}: expected callbacks that train each trial from its seed. Received: BackupAndRestore, which"
                " would put one trial's state into another. Leave it out: a run that was cut off is resumed by"
                " 'orchestrator resume'."
            )
        if not isinstance(each, keras.callbacks.Callback):
            raise TrialError(
                f"{where}: expected a list of Keras callbacks. Received: {type(each).__name__}"
                f"{' in it' if made is not each else ''}."
            )
    return tuple(found)


_seen: dict[int, weakref.ref[Any]] = {}


def check_nothing_is_shared(model: Any, reference: CallableReference) -> None:
    """Raise TrialError, naming it, for a layer or optimizer that an earlier model of this process has too."""
    for what, variable in _trained(model):
        known = _seen.get(id(variable))
        if known is not None and known() is variable:
            raise TrialError(
                f"model {reference.text}: expected a model of its own for each trial. Received: {what}, which an"
                f" earlier model has too. Make it inside {reference.function}()."
            )
    for _, variable in _trained(model):
        at = id(variable)
        _seen[at] = weakref.ref(variable, lambda _, at=at: _seen.pop(at, None))  # type: ignore[misc]


def _trained(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every variable of a model and of its optimizer, with what it belongs to."""
    for variable in model.variables:
        yield f"the weights {variable.path}", variable
    optimizer = getattr(model, "optimizer", None)
    for variable in getattr(optimizer, "variables", ()):
        yield f"the optimizer {type(unwrapped(optimizer)).__name__}", variable
