"""From a name in the experiment file to a checked reference, without running anyone's code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.catalog.definitions import check_class, check_function
from orchestrator.catalog.hidden import tell_hidden_imports
from orchestrator.catalog.imports import find_module, module_source
from orchestrator.catalog.names import (
    BUNDLED_DATA,
    Name,
    bundled_file,
    bundled_folder,
    bundled_names,
    parse_name,
)
from orchestrator.catalog.references import CallableReference, DataReference
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain, near_miss

if TYPE_CHECKING:
    from orchestrator.config import Experiment, TrialOptions
    from orchestrator.domains import Space

_DATA_KINDS: dict[str, Literal["npz", "csv", "parquet"]] = {
    ".npz": "npz",
    ".csv": "csv",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class _Sought:
    """A function that a file or module should define so that it takes ``arguments`` of them."""

    reference: str
    folder: Path
    where: str
    function: str
    arguments: int


def find_model(reference: str, folder: str | Path) -> CallableReference:
    """Return the model builder that ``reference`` names; files are relative to ``folder``.

    The file exists, parses and defines the function (``build`` where none is named): all this is
    known without importing Keras. UnknownNameError or ExperimentFileError otherwise.
    """
    name = parse_name(reference, "model")
    where = f"model {reference}"
    function = name.member or "build"
    if name.form == "bundled":
        _check_bundled(name.place, bundled_names("models"), "model", folder, ".py")
        check_function(bundled_file("models", name.place), function, 3, where)
        return CallableReference("bundled", name.place, function, reference)
    return _find_function(name, _Sought(reference, Path(folder), where, function, 3))


def find_callbacks(reference: str, folder: str | Path) -> CallableReference:
    """Return the function of a trial's Keras callbacks that ``reference`` names: ``callbacks`` where none is named.

    Raises as find_model does. None are bundled.
    """
    name = parse_name(reference, "callbacks")
    if name.form == "bundled":
        raise UnknownNameError(
            f"callbacks: expected a file or an installed module. Received: {reference!r}."
            f" For a file beside the experiment write ./{name.place}.py:callbacks."
        )
    where, function = f"callbacks {reference}", name.member or "callbacks"
    return _find_function(name, _Sought(reference, Path(folder), where, function, 1))


def find_trial(trial: TrialOptions | None, folder: str | Path) -> CallableReference:
    """Return the function that a trial runs. Raises as find_model does. None are bundled.

    Raises ValueError for a trial that runs none.
    """
    if trial is None or trial.python_function is None:
        raise ValueError("a trial that runs a function has one")
    default, arguments = trial.python_function
    reference = str(trial.runs)
    name = parse_name(reference, "trial")
    if name.form == "bundled":
        raise UnknownNameError(
            f"trial: expected a file or an installed module. Received: {reference!r}."
            f" For a file beside the experiment write ./{name.place}.py:{default}."
        )
    where, function = f"trial {reference}", name.member or default
    return _find_function(name, _Sought(reference, Path(folder), where, function, arguments))


def find_class(reference: str, folder: str | Path, key: str) -> CallableReference:
    """Return the class that ``reference`` names at ``key`` of the experiment: ``./mine.py:Mine`` or a module's.

    It is known to be there without running its file. Raises as find_model does.
    """
    name = parse_name(reference, key)
    where = f"{key} {reference}"
    if name.form == "bundled" or name.member is None:
        expected = "a file and a class in it, such as ./mine.py:Mine, or package.module:Mine"
        raise ExperimentFileError(explain(key, expected, reference))
    if name.form == "module":
        return _find_function(name, _Sought(reference, Path(folder), where, name.member, 0))
    path = _existing(name.place, Path(folder), where)
    if path.suffix != ".py":
        raise ExperimentFileError(explain(where, "a file that ends in .py", path.name))
    check_class(path, name.member, where)
    tell_hidden_imports(path)
    return CallableReference("file", str(path), name.member, reference)


def find_data(reference: str, folder: str | Path) -> DataReference:
    """Return the data that ``reference`` names; nothing but a function's source is read.

    The default function is ``load``. UnknownNameError or ExperimentFileError as in find_model.
    """
    name = parse_name(reference, "data")
    where = f"data {reference}"
    if name.form == "bundled":
        _check_bundled(name.place, BUNDLED_DATA, "data set", folder)
        return DataReference("bundled", name.place, reference)
    ending = Path(name.place).suffix.lower()
    if name.form == "file" and name.member is None and ending not in (*_DATA_KINDS, ".py"):
        pictures = (Path(folder) / Path(name.place).expanduser()).resolve()
        if pictures.is_dir():
            return DataReference("folder", str(pictures), reference)
    if name.form == "file" and ending != ".py":
        path = _existing(name.place, Path(folder), where)
        if ending not in _DATA_KINDS:
            expected = "a file that ends in .npz, .csv, .parquet or .py, or a folder of pictures"
            raise ExperimentFileError(explain(where, expected, path.name))
        if name.member is not None:
            expected = "a file alone (a table's label column is named by data.label)"
            raise ExperimentFileError(explain(where, expected, reference))
        return DataReference(_DATA_KINDS[ending], str(path), reference)
    function = name.member or "load"
    found = _find_function(name, _Sought(reference, Path(folder), where, function, 0))
    return DataReference("function", found.place, reference, found)


def find_space(
    reference: str | Mapping[str, Any],
    folder: str | Path,
    where: str | Callable[[tuple[str | int, ...]], str] = "search_space",
) -> Space:
    """Return the search space that ``reference`` names, or that it is when it is a mapping.

    ``where`` places a mapping's faults: words, or what a Document's ``under`` returns.
    """
    # Imported here so that naming a model or data costs nothing of the domains.
    from orchestrator.config import read_document, resolved
    from orchestrator.domains import Space

    if isinstance(reference, Mapping):
        return Space.parse(reference, where)
    name = parse_name(reference, "search_space")
    if name.form == "bundled":
        known = bundled_names("search_spaces")
        _check_bundled(name.place, known, "search space", folder, ".yaml")
        path = bundled_file("search_spaces", name.place)
    elif name.form == "file" and name.member is None:
        path = _existing(name.place, Path(folder), f"search_space {reference}")
    else:
        expected = "a bundled name, a .yaml file or a mapping"
        raise ExperimentFileError(explain("search_space", expected, reference))
    document, _ = resolved(read_document(path))
    return Space.parse(document.content, document.where)


def bundled_points(reference: Any) -> tuple[list[Any], str]:
    """Return the points that come with a bundled search space, and where they are from; none with any other space."""
    from orchestrator.config import read_list

    if isinstance(reference, str) and parse_name(reference, "search_space").form == "bundled":
        file = bundled_folder("search_spaces") / "points" / f"{reference.strip()}.yaml"
        if file.is_file():
            return read_list(file, "points")[0], f"bundled with search_space {reference}"
    return [], ""


def find_points(
    reference: str, folder: str | Path
) -> tuple[list[Any], Callable[[tuple[str | int, ...]], str]]:
    """Return the list of points in a file, and where each of them stands."""
    from orchestrator.config import read_list

    name = parse_name(reference, "caviar.points")
    if name.form != "file" or name.member is not None:
        expected = "auto, none, a file such as ./points.yaml, or a list of points"
        raise ExperimentFileError(explain("caviar.points", f"expected {expected}", reference))
    listed, where = read_list(
        _existing(name.place, Path(folder), f"caviar.points {reference}"), "points"
    )
    for index, point in enumerate(listed):
        if not isinstance(point, Mapping):
            expected = "expected a mapping of hyperparameter to value"
            raise ExperimentFileError(explain(where((index,)), expected, str(point)))
    return listed, where


def space_of(experiment: Experiment) -> Space:
    """Return an experiment's search space, with its constraints."""
    if experiment.space is not None:
        return experiment.space
    space = find_space(experiment.search_space, experiment.folder)
    return space.constrained(experiment.constraints)


def _find_function(name: Name, sought: _Sought) -> CallableReference:
    """Return the reference of a function in a file or an installed module, once it is there."""
    where, function = sought.where, sought.function
    if name.form == "file":
        path = _existing(name.place, sought.folder, where)
        if path.suffix != ".py":
            raise ExperimentFileError(explain(where, "a file that ends in .py", path.name))
        check_function(path, function, sought.arguments, where)
        tell_hidden_imports(path)
        return CallableReference("file", str(path), function, sought.reference)
    if find_module(name.place) is None:
        beside = name.place.replace(".", "/")
        raise UnknownNameError(
            f"{where}: an installed module was expected. Received: {name.place!r}. "
            f"For a file beside the experiment write ./{beside}.py:{function}."
        )
    source = module_source(name.place)
    if source is not None:
        check_function(source, function, sought.arguments, where)
    return CallableReference("module", name.place, function, sought.reference)


def _check_bundled(
    name: str, known: Iterable[str], kind: str, folder: str | Path, ending: str = ""
) -> None:
    """Return when ``name`` is known; else say what is, and how one's own file is named."""
    known = tuple(known)
    if name in known:
        return
    message = explain(kind, f"a bundled {kind}", name, known)
    endings = [ending] if ending else [*_DATA_KINDS, ".py"]
    beside = [f"./{name}{end}" for end in endings if Path(folder, f"{name}{end}").is_file()]
    if beside:
        message += f" For the file beside the experiment write {beside[0]}."
    raise UnknownNameError(message)


def _existing(place: str, folder: Path, where: str) -> Path:
    """Return the absolute path of a file; UnknownNameError says where it was looked for."""
    path = (folder / Path(place).expanduser()).resolve()
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise UnknownNameError(f"{where}: no file {path}: its folder does not exist.")
    if path.is_dir():
        raise UnknownNameError(f"{where}: a file was expected. Received the folder {path}.")
    neighbours = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    raise UnknownNameError(f"{where}: no file {path}.{near_miss(path.name, neighbours)}")
