"""What is asked for in Python: a file, a mapping or an experiment, with keys and objects put over it."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

from orchestrator.catalog import (
    REGISTERED,
    CallableReference,
    Contents,
    DataReference,
    GivenCode,
    contents_of,
    is_mark,
    mark,
    refuse_another_tuners,
)
from orchestrator.config import (
    TRIAL_KINDS,
    Experiment,
)
from orchestrator.data.given import described, is_frame, is_stream
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.fields import Options
from orchestrator.records import RunRecords
from orchestrator.training.keras_setup import check_policy_of_this_process, registered_with_keras
from orchestrator.training.keras_tuner_builder import KerasTunerBuilder
from orchestrator.trials.function_runner import BY_NAME

KEYS = ("trial", "model", "callbacks", "data")
"""What can be given as an object."""
_FUNCTIONS = ("trial", "model", "callbacks")
_FUNCTION = "function"
"""The kind of a trial that is given as a function alone."""
_CALLS = {
    "trial": "(hp, report)",
    "trial.optuna": "(trial)",
    "trial.keras_tuner": "(hp)",
    "trial.sklearn": "(hp)",
    "model": "(hp, input_shape, num_classes)",
    "callbacks": "(hp)",
    "data": "()",
}
_WAYS_OUT = {
    "trial": "Write def train(hp, report): ... and call report(epoch, loss=...) in it. What is written for something"
    " else goes in as trial={'optuna': objective}, {'keras_tuner': build_model} or {'sklearn': make}.",
    "trial.optuna": "Write def objective(trial): ... and return its value.",
    "trial.keras_tuner": "Write def build_model(hp): ... and return a keras.Model, or give a HyperModel.",
    "trial.sklearn": "Write def make(hp): ... and return a scikit-learn estimator or pipeline.",
}


class Objects(TypedDict, total=False):
    """What a run that was begun with objects needs again: the same ones."""

    trial: Any
    model: Any
    callbacks: Any
    data: Any


@dataclass(frozen=True)
class Given:
    """The objects that were given, as references; None for what the experiment names."""

    model: CallableReference | None = None
    callbacks: CallableReference | None = None
    data: DataReference | None = None
    trial: CallableReference | None = None
    kind: str = _FUNCTION
    """What the trial's function is, as its key in a file says it."""

    @property
    def builder(self) -> CallableReference | None:
        """Return the builder of Keras models among them."""
        if self.trial is None or self.kind != "keras_tuner":
            return self.model
        return KerasTunerBuilder(
            **{e.name: getattr(self.trial, e.name) for e in fields(self.trial)}
        )

    @property
    def keys(self) -> tuple[str, ...]:
        """Return what was given."""
        return tuple(key for key in KEYS if getattr(self, key) is not None)


NOTHING = Given()


def taken_out(content: Mapping[str, Any]) -> tuple[dict[str, Any], Given]:
    """Return an experiment's keys with a mark in place of each object, and the objects.

    Raises ExperimentFileError for an object that is not what it is given for, or cannot be sent to workers.
    """
    plain = {key: _plain(value) for key, value in content.items()}
    source = plain.get("data")
    options = dict(source) if isinstance(source, Mapping) and not _has_arrays(source) else None
    if options is not None:
        source = _plain(options.get("source"))
    trial = _kinds(plain.get("trial"))
    named: dict[str, Any] = {**plain, "trial": trial.popitem()[1] if len(trial) == 1 else None}
    functions = {
        key: plain[key]
        for key in _FUNCTIONS
        if not isinstance(named.get(key), str | Mapping | Options | None)
    }
    given = given_objects(**functions, data=None if isinstance(source, str) else source)
    for key in given.keys:
        plain[key] = getattr(given, key).text
    if given.trial and isinstance(content["trial"], Mapping):
        plain["trial"] = {**content["trial"], given.kind: given.trial.text}
    if options is not None:
        plain["data"] = options | ({"source": given.data.text} if given.data else {})
    return plain, given


def _has_arrays(data: Mapping[Any, Any]) -> bool:
    """Return whether a mapping is data itself, and no options of data, one of which may be misspelt."""
    written = (str, int, float, dict, type(None))
    return "source" not in data and not (
        data and all(isinstance(value, written) for value in data.values())
    )


def given_objects(
    model: Any = None, callbacks: Any = None, data: Any = None, trial: Any = None
) -> Given:
    """Return objects as references; None stands for what is not given.

    ``trial`` is a function, or {kind: what is written for it}.
    """
    kind, trial = _of_kind(trial)
    if trial is not None:
        where = "trial" if kind == _FUNCTION else f"trial.{kind}"
        _check_function(where, trial, _WAYS_OUT[where])
    if model is not None:
        _check_model(model)
        check_policy_of_this_process()
    if callbacks is not None:
        _check_function("callbacks", callbacks, "Write callbacks=lambda hp: [...].")
    functions = {"trial": trial, "model": model, "callbacks": callbacks}
    references = _references({key: each for key, each in functions.items() if each is not None})
    return Given(data=_data(data), kind=kind, **references)


def _kinds(trial: Any) -> dict[str, Any]:
    """Return what stands under the kinds of trial that run a function; a function alone stands under its own."""
    written = trial if isinstance(trial, Mapping) else {_FUNCTION: trial}
    kinds = {kind: written.get(kind) for kind, each in TRIAL_KINDS.items() if each.python_function}
    return {kind: runs for kind, runs in kinds.items() if runs is not None}


def _of_kind(trial: Any) -> tuple[str, Any]:
    """Return the kind of a trial's function, and the function."""
    found = _kinds(trial)
    if trial is not None and len(found) != 1:
        known = [kind for kind, each in TRIAL_KINDS.items() if each.python_function]
        expected = "expected a function, or one function under one of the keys of its kind"
        received = ", ".join(map(str, trial)) or "nothing"
        raise ExperimentFileError(explain("trial", expected, received, known))
    return found.popitem() if found else (_FUNCTION, None)


def given_again(objects: Mapping[str, Any]) -> Given:
    """Return the objects that a run is given again; of data with options the source, since its options are recorded."""
    unknown = [key for key in objects if key not in KEYS]
    if unknown:
        way_out = (
            " orchestrator.extend makes a run longer."
            if unknown[0] in Experiment.model_fields
            else ""
        )
        known = [*KEYS, "executor", "progress", "storage"]
        message = explain(f"{unknown[0]}=...", "unknown keyword", unknown[0], known)
        raise ExperimentFileError(message + way_out)
    data = objects.get("data")
    if isinstance(data, Mapping) and "source" in data:
        data = data["source"]
    functions = {key: objects.get(key) for key in _FUNCTIONS}
    return given_objects(data=data, **functions)


def check_needed(records: RunRecords, content: Mapping[str, Any], given: Given) -> None:
    """Raise ExperimentFileError unless what a run was given in Python is given again, and nothing else."""
    needed = marks_in(content)
    absent = [key for key in needed if key not in given.keys]
    if absent:
        listed = ", ".join(_call_of(key, content) for key in needed)
        what = " and ".join(f"{key} {needed[key]}" for key in absent)
        raise ExperimentFileError(
            f"{records.name}: expected {what} again, given in Python when the run began and not kept in its folder."
            f" Received: nothing. Call orchestrator.resume({str(records.folder.path)!r}, {listed}) from Python"
            " with the same objects; extend takes them in the same way."
        )
    for key in given.keys:
        if key not in needed:
            expected = f"expected no object, since the run has {content.get(key)}"
            raise ExperimentFileError(explain(key, expected, getattr(given, key).text))
    if given.trial and given.kind not in _kinds(content.get("trial")):
        expected = f"expected {_call_of('trial', content)}, as the run began"
        raise ExperimentFileError(explain("trial", expected, given.kind))


def marks_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the marks of objects in an experiment's content, by the keys that the objects were given for."""
    source = content.get("data")
    source = source.get("source") if isinstance(source, Mapping) else source
    trial = next(iter(_kinds(content.get("trial")).values()), None)
    written = {**{key: content.get(key) for key in KEYS}, "data": source, "trial": trial}
    return {key: str(text) for key, text in written.items() if is_mark(text)}


def _call_of(key: str, content: Mapping[str, Any]) -> str:
    """Return how an object is written in a call."""
    kind = next(iter(_kinds(content.get("trial"))), _FUNCTION)
    return f"trial={{{kind!r}: ...}}" if key == "trial" and kind != _FUNCTION else f"{key}=..."


def name_for(content: Mapping[str, Any]) -> str:
    """Return the name of a run that was given none: its function's, or python."""
    marks = marks_in(content)
    function = re.fullmatch(r"<python: (\w+)>", marks.get("trial") or marks.get("model") or "")
    return function[1] if function and function[1] != "lambda" else "python"


def _plain(value: Any) -> Any:
    """Return a value as a file would have it: a path as text, a number of NumPy's as Python's."""
    if isinstance(value, Path):
        return str(value)
    is_number = hasattr(value, "dtype") and getattr(value, "shape", None) == ()
    return value.item() if is_number and hasattr(value, "item") else value


def _check_model(model: Any) -> None:
    if _is_keras_model(model):
        kind = type(model).__name__
        raise ExperimentFileError(
            "model: expected a function that builds a new model for each trial. Received: a model that exists already"
            f" ({kind}), which all trials would share. Write def build(hp, input_shape, num_classes): and return one;"
            " keras.models.clone_model(model) in it makes one of the same layers."
        )
    _check_function(
        "model",
        model,
        "Write def build(hp, input_shape, num_classes): ... and return a keras.Model.",
    )


def _is_keras_model(value: Any) -> bool:
    kinds = type(value).__mro__
    return any(kind.__name__ == "Model" and kind.__module__.startswith("keras.") for kind in kinds)


def _check_function(key: str, function: Any, way_out: str) -> None:
    """Refuse what cannot be called as its key's functions are."""
    call = _CALLS[key]
    if key == "trial.keras_tuner" and hasattr(function, "build"):
        if inspect.isclass(function):
            _check_class(key, function)
        return
    if not callable(function):
        expected = f"expected a function that can be called with {call}, or a name as in a file"
        raise ExperimentFileError(f"{explain(key, expected, type(function).__name__)} {way_out}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return
    by_name = {n for n in BY_NAME if key == "trial" and n in signature.parameters}
    try:
        if not (key == "trial" and inspect.isgeneratorfunction(function)):
            named = dict.fromkeys(by_name)
            signature.bind(*call.strip("()").split(", ") if call != "()" else (), **named)
        elif len(signature.parameters) < 1:
            raise TypeError
    except TypeError:
        if key == "model":
            refuse_another_tuners(function, key)
        expected = f"expected a function that can be called as {_name_of(function)}{call}"
        received = explain(key, expected, f"{_name_of(function)}{signature}")
        raise ExperimentFileError(f"{received} {_WAYS_OUT.get(key, '')}".strip()) from None
    if key == "model":
        refuse_another_tuners(function, key)


def _check_class(key: str, kind: type) -> None:
    """Refuse a class that cannot be made without arguments."""
    try:
        inspect.signature(kind).bind()
    except TypeError:
        expected = "expected a class that is made without arguments, or an object of it"
        raise ExperimentFileError(
            explain(key, expected, f"{kind.__name__}{inspect.signature(kind)}")
        ) from None


def _references(functions: Mapping[str, Callable[..., Any]]) -> dict[str, CallableReference]:
    """Return functions as references that hold them, all of one pickle."""
    if not functions:
        return {}
    looked_into = {key: contents_of(function) for key, function in functions.items()}
    contents = {key: found for key, (found, _) in looked_into.items()}
    registered = registered_with_keras([each for _, own in looked_into.values() for each in own])
    pickled = _pickled({**functions, REGISTERED: registered}, contents)
    place = hashlib.sha256(pickled).hexdigest()
    return {
        key: CallableReference(
            "object", place, key, mark(_name_of(function)), GivenCode(pickled, contents[key])
        )
        for key, function in functions.items()
    }


def _pickled(functions: Mapping[str, Any], contents: Mapping[str, Contents]) -> bytes:
    from orchestrator.tuning.pickling import NotPicklableError, pickled

    modules = {module for each in contents.values() for module in each.modules}
    try:
        return pickled(functions, sorted(modules))
    except NotPicklableError as error:
        given = {key: each for key, each in functions.items() if key != REGISTERED}
        function = next(iter(given.values()))
        what = f"{error.name}, which" if error.name else "something that"
        raise ExperimentFileError(
            f"{' and '.join(given)}: expected a function that can be sent to the workers. Received:"
            f" {_name_of(function)}, which refers to {what} cannot be sent ({error}). Make it inside the function."
        ) from error


def _data(data: Any) -> DataReference | None:
    """Return data as a reference: what a function returns, or what was given itself."""
    if data is None:
        return None
    pieces = list(data.values()) if isinstance(data, Mapping) else data
    pieces = list(pieces) if isinstance(pieces, list | tuple) else []
    if is_stream(data) or any(map(is_stream, pieces)):
        raise ExperimentFileError(
            "data: expected a function that returns the tf.data pipelines, since each worker makes its own. Received:"
            f" {described(data)}. Write def load(): ... return {{'train': ..., 'validation': ...}}, and data=load."
        )
    if callable(data) and not is_frame(data) and not hasattr(data, "shape"):
        _check_function("data", data, "")
        reference = _references({"data": data})["data"]
        return DataReference("object", reference.place, reference.text, reference)
    return DataReference("object", "", mark(described(data)), given=data)


def _name_of(function: Any) -> str:
    """Return what a function is called: a partial's by what it calls, an object's by its class."""
    inner = getattr(function, "func", None)
    if inner is not None and callable(inner) and not hasattr(function, "__name__"):
        return _name_of(inner)
    name = getattr(function, "__name__", type(function).__name__)
    return "lambda" if name == "<lambda>" else str(name)
