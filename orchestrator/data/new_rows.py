"""Rows that a trained model is to answer for, in whatever form training takes them, checked against what it took."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.catalog import UsersCode, find_data
from orchestrator.data.dataset import PARTS
from orchestrator.data.elements import CHUNK_ROWS, endless, is_batched
from orchestrator.data.frames import as_arrow
from orchestrator.data.given import check_features, dense_array, is_frame, is_stream
from orchestrator.data.load import READERS
from orchestrator.data.messages import refused, several
from orchestrator.data.pictures import PICTURES, pictures_in
from orchestrator.data.table_columns import ColumnRecipe, TableRecipe
from orchestrator.data.table_rows import read_rows, rows_of
from orchestrator.data.trees import as_keras_takes, between, leaves, map_tree, row_count, shapes_of
from orchestrator.errors import DataError

ROWS_AT_ONCE = 1_024
FORMS = ".csv, .parquet, .npz or .npy file, a picture, a folder of pictures or a function (./load.py:new)"


@dataclass(frozen=True)
class TrainingForm:
    """What a run's model was trained on: the ``shape`` of a row, a tree for several inputs, or a table's recipe.

    ``pictures``: a folder of pictures, which were ``resized`` or not. ``words_are_gaps`` names columns of numbers.
    """

    shape: Any
    table: TableRecipe | None = None
    pictures: bool = False
    resized: bool = False
    words_are_gaps: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class NewRows:
    """Rows by the batch: a table's raw columns by name, else features as training took them before any scaling.

    ``files`` names each row's picture and is empty for other rows.
    """

    batches: Iterator[Any]
    files: tuple[str, ...] = ()


def new_rows(given: Any, form: TrainingForm, folder: str | Path = ".") -> NewRows:
    """Return rows that were given as a value, or as a file, folder or function below ``folder``.

    Raises DataError, one sentence, for rows that are not of the form of training; UnknownNameError for no such file.
    """
    if isinstance(given, Path | str):
        return _from_place(str(given), form, Path(folder))
    return _of_value(given, form, "rows")


def _from_place(text: str, form: TrainingForm, folder: Path) -> NewRows:
    path = (folder / Path(text).expanduser()).resolve()
    where, ending = f"rows {path.name}", path.suffix.lower()
    if path.is_dir() or (path.is_file() and ending in PICTURES):
        if not form.pictures:
            raise refused(where, _expected(form), "pictures")
        files, batches = pictures_in(path, form.shape, form.resized)
        return NewRows(batches, files)
    if path.is_file() and ending in (".csv", ".parquet"):
        recipe = form.table or _plain_recipe(path, form, where)
        columns = read_rows(path, recipe, form.words_are_gaps).columns
        if form.table is not None:
            return NewRows(_cut(columns))
        return _of_value(np.column_stack(list(columns.values())), form, where)
    if path.is_file() and ending in (".npz", ".npy"):
        return _of_value(_archived(path, form, where), form, where)
    if path.is_file() and ending != ".py":
        raise refused(where, f"a {FORMS} was expected", path.name)
    is_path = any(slash in text for slash in "/\\") or ending in (".csv", ".parquet", ".npz")
    reference = find_data(
        text if not is_path or text.startswith((".", "/", "~")) else f"./{text}", folder
    )
    if reference.function is None:
        return _of_value(READERS[reference.place]()[0], form, where)
    file = reference.function.file
    with UsersCode(f"rows {text}", str(file) if file else None, DataError):
        value = reference.function.load()()
    return _of_value(value, form, f"rows {text}")


def _plain_recipe(path: Path, form: TrainingForm, where: str) -> TableRecipe:
    """Return the recipe of a table whose columns, all numbers, are a row of the features that training had."""
    import pyarrow.parquet as pq

    from orchestrator.data.csv_form import read_form

    shape = form.shape
    if not (isinstance(shape, tuple) and len(shape) == 1 and isinstance(shape[0], int)):
        raise refused(where, _expected(form), "a table")
    is_csv = path.suffix.lower() == ".csv"
    names = list(
        read_form(str(path), "auto", where).names if is_csv else pq.read_schema(path).names
    )
    if len(names) != shape[0]:
        raise refused(where, f"a table of {shape[0]} columns was expected", f"{len(names)} columns")
    return TableRecipe(tuple(ColumnRecipe(str(name), "number") for name in names))


def _archived(path: Path, form: TrainingForm, where: str) -> Any:
    """Return the features in an archive: its array ``x``, its only one, or those that are called as the inputs are."""
    try:
        content = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise refused(where, "arrays of numbers were expected", str(error).rstrip(".")) from error
    if isinstance(content, np.ndarray):
        return content
    with content as archive:
        names = list(archive.files)
        if isinstance(form.shape, Mapping) and set(form.shape) <= set(names):
            return {name: archive[name] for name in form.shape}
        chosen = next((name for name in names if name.lower() == "x"), None)
        if chosen is None and len(names) != 1:
            raise refused(where, "an array x was expected", f"arrays called {several(names)}")
        return archive[chosen or names[0]]


def _of_value(given: Any, form: TrainingForm, where: str) -> NewRows:
    """Return rows of a value in memory, or of a tf.data.Dataset; labels beside them are left out."""
    if is_stream(given):
        return NewRows(_streamed(given, form, where))
    value = _features(given, form, where)
    if form.table is not None:
        table = as_arrow(_as_frame(value, form.table, where), where)
        return NewRows(_cut(rows_of(table, form.table, where, form.words_are_gaps).columns))
    if is_frame(value):
        value = value.to_numpy() if hasattr(value, "to_numpy") else value.to_pandas().to_numpy()
    return NewRows(_cut(_checked(value, form, where)))


def _features(given: Any, form: TrainingForm, where: str) -> Any:
    """Return what a loader gives, less its labels and weights."""
    inputs = form.shape if isinstance(form.shape, tuple) and not _is_shape(form.shape) else ()
    if isinstance(given, tuple | list) and inputs and len(given) == len(inputs):
        return given
    if isinstance(given, tuple) and len(given) in (2, 3):
        if all(isinstance(piece, tuple) for piece in given):
            raise refused(where, "x or (x, y) was expected", f"{len(given)} pairs")
        return given[0]
    if isinstance(given, Mapping) and form.table is None and not isinstance(form.shape, Mapping):
        names = [str(name) for name in given]
        if "x" not in names:
            raise refused(where, _expected(form), f"a dict of {several(names)}")
        return given["x"]
    if (
        isinstance(given, Mapping)
        and isinstance(form.shape, Mapping)
        and "x" in set(given) - set(form.shape)
    ):
        return given["x"]
    return given


def _as_frame(value: Any, recipe: TableRecipe, where: str) -> Any:
    """Return a table's rows as a frame: of a dict by column, of a list of dicts, of an array in training's order."""
    import pandas as pd

    if is_frame(value):
        return value
    if isinstance(value, Mapping):
        if set(value) <= set(PARTS):
            raise refused(
                where, "the rows of a table were expected", f"a dict of {several(list(value))}"
            )
        single = not any(
            hasattr(one, "__len__") and not isinstance(one, str) for one in value.values()
        )
        return pd.DataFrame(
            [dict(value)] if single else {str(key): one for key, one in value.items()}
        )
    if isinstance(value, list | tuple) and value and all(isinstance(one, Mapping) for one in value):
        return pd.DataFrame([dict(one) for one in value])
    names = [column.name for column in recipe.columns]
    shape = np.shape(np.asarray(value, dtype=object))
    if len(shape) != 2 or shape[1] != len(names):
        expected = f"rows with the columns {several(names)}, or an array of {len(names)} columns, were expected"
        raise refused(where, expected, f"an array of shape {shape}")
    return pd.DataFrame(value, columns=names)


def _checked(value: Any, form: TrainingForm, where: str) -> Any:
    """Return arrays of numbers, of the inputs and shapes of training; a single row is made one of one."""
    expected = form.shape
    if isinstance(expected, Mapping) and isinstance(value, Mapping):
        absent = [name for name in expected if name not in value]
        if absent:
            raise refused(where, _expected(form), f"no {several(absent)}")
        value = {name: value[name] for name in expected}
    elif not isinstance(expected, Mapping) and _is_shape(expected):
        value = np.asarray(dense_array(value, where))
        value = value[None] if value.shape == expected and value.ndim == len(expected) else value
    found = map_tree(as_keras_takes, check_features(value, where))
    if not _fits(shapes_of(found), expected):
        raise refused(where, _expected(form), _said(shapes_of(found)))
    rows = {len(array) for _, array in leaves(found)}
    if len(rows) > 1:
        raise refused(
            where, "as many rows in each input were expected", several([str(n) for n in rows])
        )
    return found


def _streamed(pipeline: Any, form: TrainingForm, where: str) -> Iterator[Any]:
    """Yield the features of a pipeline of x, (x, y) or (x, y, weight)."""
    if endless(pipeline):
        raise refused(where, "a tf.data.Dataset that ends was expected", "one without end")
    spec = pipeline.element_spec
    several_inputs = isinstance(form.shape, tuple) and not _is_shape(form.shape)
    labelled = isinstance(spec, tuple) and not (several_inputs and len(spec) == len(form.shape))
    x = [part for _, part in leaves(spec[0] if labelled else spec)]
    y = [part for _, part in leaves(spec[1:])] if labelled else []
    alone = not y and not all(
        part.shape.rank is None or part.shape.rank > _rank(form) for part in x
    )
    if alone or (y and not is_batched(x, y)):
        pipeline = pipeline.batch(CHUNK_ROWS)
    with UsersCode(where, None, DataError):
        for element in pipeline.as_numpy_iterator():
            yield _checked(element[0] if labelled else element, form, where)


def _cut(tree: Any) -> Iterator[Any]:
    for start in range(0, row_count(tree), ROWS_AT_ONCE):
        yield between(tree, start, start + ROWS_AT_ONCE)


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and not any(isinstance(size, tuple) for size in shape)


def _rank(form: TrainingForm) -> int:
    return (
        min(len(shape) for _, shape in leaves(form.shape))
        if not _is_shape(form.shape)
        else len(form.shape)
    )


def _fits(found: Any, expected: Any) -> bool:
    """Return whether the shapes of rows are those of training, an open dimension of any size."""
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and all(
            _fits(found[name], one) for name, one in expected.items()
        )
    if not isinstance(found, tuple) or len(found) != len(expected):
        return False
    if _is_shape(expected):
        return all(size in (None, there) for there, size in zip(found, expected, strict=True))
    return all(_fits(one, other) for one, other in zip(found, expected, strict=True))


def _expected(form: TrainingForm) -> str:
    """Return what one row was in training, in words."""
    if form.table is not None:
        names = [column.name for column in form.table.columns]
        return f"rows with the columns {several(names)} were expected"
    return f"rows of {_said(form.shape)} were expected"


def _said(shape: Any) -> str:
    if isinstance(shape, Mapping):
        return "inputs " + several([f"{name!r} of shape {one}" for name, one in shape.items()])
    return f"shape {shape}"
