"""What a run remembers of its training data, and what today's data must have in common with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.experiment.winner import form_of
from orchestrator.records import RunRecords
from orchestrator.records.run import effective_manifest

if TYPE_CHECKING:
    from orchestrator.data import ColumnRecipe
    from orchestrator.data.new_rows import TrainingForm
    from orchestrator.drift.profile import Profile
    from orchestrator.experiment.prepared import Prepared

PROFILE = "data-profile.npz"
"""The file in a run's folder that holds what is remembered of its training rows."""


def profile_to_keep(prepared: Prepared) -> bytes | str | None:
    """Return what a run remembers of its training rows; why it cannot, as text; None for trials that have no data."""
    dataset, options = getattr(prepared.trials, "dataset", None), prepared.experiment.data
    if dataset is None or options is None:
        return None
    from orchestrator.drift.profile import profile_of  # with NumPy: not for --help

    try:
        return profile_of(dataset).kept(options.profile_rows).to_bytes()
    except Exception as error:  # noqa: BLE001 (a stream is a user's code, and the run is over: nothing is to be lost)
        return f"{type(error).__name__}: {error}"


def same_form(records: RunRecords, prepared: Prepared) -> None:
    """Raise DataError where today's data have other columns or rows of another shape than those of then."""
    dataset = getattr(prepared.trials, "dataset", None)
    then = effective_manifest(records).get("data") or {}
    if dataset is None or "input_shape" not in then:
        return
    where = f"data {dataset.source}"
    form = form_of(records)
    if (form.table is None) != (dataset.table is None):
        kinds = ("arrays", "a table") if form.table is None else ("a table", "arrays")
        raise DataError(f"{where}: {kinds[0]} was expected, as then. Received: {kinds[1]}.")
    if form.table is not None and dataset.table is not None:
        _same_columns(form.table.columns, dataset.table.columns, where)
        return
    if str(form.shape) != str(dataset.input_shape):
        raise DataError(
            f"{where}: rows of shape {form.shape} were expected, as then. Received: {dataset.input_shape}."
        )


def further_columns(records: RunRecords, prepared: Prepared) -> tuple[str, ...]:
    """Return the columns of features that today's table has beside those of then."""
    dataset = getattr(prepared.trials, "dataset", None)
    form = None if dataset is None or dataset.table is None else form_of(records).table
    if dataset is None or form is None:
        return ()
    then = {column.name for column in form.columns}
    return tuple(each.name for each in dataset.table.columns if each.name not in then)


def _same_columns(old: Any, new: Any, where: str) -> None:
    then, now = ({each.name: each.kind for each in columns} for columns in (old, new))
    lacking = [name for name in then if name not in now]
    other = [f"{n} ({then[n]} -> {now[n]})" for n in then if n in now and then[n] != now[n]]
    said = [
        f"{word} {', '.join(names)}"
        for word, names in (("no column", lacking), ("of another kind", other))
        if names
    ]
    if said:
        raise DataError(
            f"{where}: the columns of then were expected ({', '.join(then)}). Received: {'; '.join(said)}."
        )


GAP_EVERY, UNKNOWN_EVERY = 7, 11
"""Which rows are asked with a gap where the model fills them, and with a text that training had not."""


def rows_to_ask(records: RunRecords, form: TrainingForm, rows: int) -> Any:
    """Return raw rows in the form of training: those that the run remembers of it, and others drawn like them.

    The same at every call. Of a table some have gaps where the model fills them, and texts that training had not.
    """
    import numpy as np

    from orchestrator.drift.profile import Profile

    try:
        known = Profile.from_bytes((records.folder.path / PROFILE).read_bytes())
    except (
        OSError,
        ValueError,
        KeyError,
    ):  # an older run, or one that was told to remember nothing
        known = Profile((), np.zeros((0, 0)))
    random = np.random.default_rng(0)
    if form.table is None:
        return _array_rows(known, form.shape, rows, random)
    columns: dict[str, Any] = {}
    for column in form.table.columns:
        values, gap = _column(known, column, rows, random)
        if column.fill is not None:
            values[1::GAP_EVERY] = gap
        columns[column.name] = values
    return columns


def _column(known: Profile, column: ColumnRecipe, rows: int, random: Any) -> tuple[Any, Any]:
    """Return values of a table's column, and what a gap is in it."""
    import numpy as np

    if column.kind == "text":
        own = known.texts.get(column.name, np.array([], str))
        like = np.array(column.categories or ("",))
        values = _filled_up(own, like, rows, random).astype(object)
        values[::UNKNOWN_EVERY] = "\N{REPLACEMENT CHARACTER} unknown"
        return values, ""
    if column.name not in known.names:
        return random.normal(size=rows), np.nan
    at = known.names.index(column.name)
    quantiles = known.quantiles
    like = random.normal(size=rows) if quantiles is None else quantiles[:, at]
    return _filled_up(known.numbers[:, at], like, rows, random), np.nan


OPEN = 8
"""How long a dimension of any length is made."""


def _array_rows(known: Profile, shape: Any, rows: int, random: Any) -> Any:
    """Return arrays of a row's shape, a tree for several inputs: the profile's rows, else numbers like its own."""
    import numpy as np

    if _width(shape) == known.numbers.shape[1]:
        whole = _filled_up(known.numbers, known.quantiles, rows, random)
    else:
        quantiles = known.quantiles
        pool = random.normal(size=rows) if quantiles is None else quantiles[np.isfinite(quantiles)]
        whole = random.choice(pool, (rows, _width(shape)))
    place = 0

    def cut(one: Any) -> Any:
        nonlocal place
        if isinstance(one, Mapping):
            return {name: cut(each) for name, each in one.items()}
        if one and isinstance(one[0], tuple):
            return tuple(cut(each) for each in one)
        start, place = place, place + _width(one)
        return (
            whole[:, start:place].reshape(rows, *(size or OPEN for size in one)).astype(np.float32)
        )

    return cut(shape)


def _width(shape: Any) -> int:
    if isinstance(shape, Mapping):
        return sum(map(_width, shape.values()))
    if shape and isinstance(shape[0], tuple):
        return sum(map(_width, shape))
    return math.prod(size or OPEN for size in shape)


def _filled_up(own: Any, like: Any, rows: int, random: Any) -> Any:
    """Return ``rows`` rows: its own, as many as there are, then values drawn from ``like``, from each column's own."""
    import numpy as np

    own, missing = own[:rows], max(0, rows - len(own))
    if not missing:
        return np.array(own)
    if like is None:
        like = random.normal(size=(rows, own.shape[1]))
    at = random.integers(0, len(like), (missing, *own.shape[1:]))
    more = like[at] if own.ndim == 1 else np.take_along_axis(like, at, axis=0)
    return np.concatenate([own.astype(more.dtype), more])
