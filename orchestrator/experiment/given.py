"""What is asked for in Python: a file, a mapping or an experiment, with keys and objects put over it."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    Document,
    Experiment,
    check,
    parse_experiment,
    read_document,
    with_overrides,
)
from orchestrator.data.given import described, is_frame, is_stream
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.fields import Options
from orchestrator.records import RunRecords
from orchestrator.training.keras_setup import check_policy_of_this_process, registered_with_keras
from orchestrator.trials.function_runner import BY_NAME

KEYS = ("trial", "model", "callbacks", "data")
"""What can be given as an object."""
_FUNCTIONS = ("trial", "model", "callbacks")
_CALLS = {
    "trial": "(hp, report)",
    "model": "(hp, input_shape, num_classes)",
    "callbacks": "(hp)",
    "data": "()",
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
    functions = {
        key: plain[key]
        for key in _FUNCTIONS
        if key in plain and not isinstance(plain[key], str | Mapping | Options | None)
    }
    given = given_objects(**functions, data=None if isinstance(source, str) else source)
    for key in given.keys:
        plain[key] = getattr(given, key).text
    if options is not None:
        plain["data"] = options | ({"source": given.data.text} if given.data else {})
    return plain, given


def _has_arrays(data: Mapping[Any, Any]) -> bool:
    """Return whether a mapping is data itself, and no options of data, one of which may be misspelt."""
    written = str | int | float | dict[Any, Any] | None
    return "source" not in data and not (
        data and all(isinstance(v, written) for v in data.values())
    )


def given_objects(
    model: Any = None, callbacks: Any = None, data: Any = None, trial: Any = None
) -> Given:
    """Return objects as references; None stands for what is not given."""
    if trial is not None:
        _check_function(
            "trial",
            trial,
            "Write def train(hp, report): ... and call report(epoch, loss=...) in it.",
        )
    if model is not None:
        _check_model(model)
        check_policy_of_this_process()
    if callbacks is not None:
        _check_function("callbacks", callbacks, "Write callbacks=lambda hp: [...].")
    functions = {"trial": trial, "model": model, "callbacks": callbacks}
    references = _references({key: each for key, each in functions.items() if each is not None})
    return Given(data=_data(data), **references)


def given_again(objects: Mapping[str, Any]) -> Given:
    """Return the objects that a run is given again; of data with options the source, since its options are recorded."""
    data = objects.get("data")
    if isinstance(data, Mapping) and "source" in data:
        data = data["source"]
    functions = {key: objects.get(key) for key in _FUNCTIONS}
    return given_objects(data=data, **functions)


def check_needed(records: RunRecords, content: Mapping[str, Any], given: Given) -> None:
    """Raise ExperimentFileError unless what a run was given in Python is given again, and nothing else."""
    source = content.get("data")
    source = source.get("source") if isinstance(source, Mapping) else source
    written = {**{key: content.get(key) for key in KEYS}, "data": source}
    needed = [key for key in KEYS if is_mark(written[key])]
    absent = [key for key in needed if key not in given.keys]
    if absent:
        listed = ", ".join(f"{key}=..." for key in needed)
        what = " and ".join(f"{key} {written[key]}" for key in absent)
        raise ExperimentFileError(
            f"{records.name}: expected {what} again, given in Python when the run began and not kept in its folder."
            f" Received: nothing. Call orchestrator.resume({str(records.folder.path)!r}, {listed}) from Python"
            " with the same objects; extend takes them in the same way."
        )
    for key in given.keys:
        if key not in needed:
            expected = f"expected no object, since the run has {written[key]}"
            raise ExperimentFileError(explain(key, expected, getattr(given, key).text))


def name_for(content: Mapping[str, Any]) -> str:
    """Return the name of a run that was given none: its function's, or python."""
    function = re.fullmatch(r"<python: (\w+)>", str(content.get("trial") or content.get("model")))
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
        raise ExperimentFileError(
            explain(key, expected, f"{_name_of(function)}{signature}")
        ) from None
    if key == "model":
        refuse_another_tuners(function, key)


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


Source = str | Path | Mapping[str, Any] | Experiment | None


class Keys(TypedDict, total=False):
    """The keys of an experiment, as in its file; ``trial``, ``model``, ``data`` and ``callbacks`` may be objects."""

    name: str
    trial: Any
    model: Any
    backend: str
    callbacks: Any
    data: Any
    search_space: str | Path | Mapping[str, Any]
    constraints: str | Sequence[str]
    strategy: str
    task: str
    metric: str
    metrics: str | Sequence[str]
    mode: str
    epochs: int
    seed: int
    caviar: Mapping[str, Any]
    panda: Mapping[str, Any]
    resources: Mapping[str, Any]
    limits: Mapping[str, Any]
    retries: Mapping[str, Any]
    storage_path: str | Path
    keep_checkpoints: int
    checkpoint_every: str
    recalibrate_batch_norm: str
    report: bool
    target: str | Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A checked experiment, and the objects that were given with it."""

    experiment: Experiment
    given: Given = field(default_factory=Given)


def asked_for(experiment: Source, overrides: Sequence[str], keys: Mapping[str, Any]) -> Asked:
    """Return what is asked for: ``keys`` go over the experiment's own, ``overrides`` over both."""
    if isinstance(experiment, Experiment):
        if not keys and not overrides:
            return Asked(experiment)
        return _over_an_experiment(experiment, overrides, keys)
    if isinstance(experiment, str | Path):
        document = read_document(experiment)
    elif experiment is None or isinstance(experiment, Mapping):
        document = Document(Path("experiment"), dict(experiment or {}))
    else:
        expected = "expected a file's path, a mapping of its keys or an Experiment"
        hint = " Write model=... before an object." if callable(experiment) else ""
        received = type(experiment).__name__
        raise ExperimentFileError(explain("experiment", expected, received) + hint)
    content, given = taken_out({**document.content, **keys})
    if experiment is None or (given.keys and not isinstance(experiment, str | Path)):
        content = {"name": name_for(content), **content}
    said: dict[tuple[str | int, ...], str] = {(key,): f"{key}=..." for key in keys}
    document = replace(document, content=content, origins={**document.origins, **said})
    return Asked(check(with_overrides(document, overrides)), given)


def _over_an_experiment(
    experiment: Experiment, overrides: Sequence[str], keys: Mapping[str, Any]
) -> Asked:
    content, given = taken_out({**experiment.model_dump(exclude_unset=True), **keys})
    new = parse_experiment(content, overrides)
    return Asked(new.at(experiment.folder, experiment.references), given)
