"""What rows are split along beside their labels: the group that a row belongs to, or its place in time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from orchestrator.data.messages import refused, several
from orchestrator.data.table_texts import GAPS
from orchestrator.data.trees import Array
from orchestrator.errors import near_miss

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

Key = Literal["groups", "order"]


@dataclass(frozen=True)
class AlongName:
    """The column or array that ``data.groups`` or ``data.order`` names."""

    key: Key
    name: str
    where: str

    def absent(self, known: list[str], what: str = "a column of the table", hint: str = "") -> None:
        """Raise DataError: there is nothing of that name among ``known``."""
        more = f"{near_miss(self.name, known)} Known: {several(known, 20)}. {hint}"
        raise refused(self.where, f"{what} was expected in data.{self.key}", repr(self.name), more)


def along_name(options: DataOptions, where: str) -> AlongName | None:
    """Return what rows are split along, None where it is their labels alone."""
    if options.groups is not None:
        return AlongName("groups", options.groups, where)
    return None if options.order is None else AlongName("order", options.order, where)


@dataclass(frozen=True, eq=False)
class Along:
    """The group or the time of every row, those of train first: ``codes`` (rows,) are numbers of ``values``.

    ``values`` are sorted and all different, so that ``codes`` of times are in their order.
    """

    of: AlongName
    codes: npt.NDArray[np.int64]
    values: Array

    def said(self, code: int) -> str:
        """Return a group or time as text."""
        value = self.values[code]
        if value.dtype.kind != "M":
            return str(value)
        return str(value).removesuffix(".000000").removesuffix("T00:00:00")


def read_along(of: AlongName, given: Any) -> Along:
    """Return the groups or times of rows, given as an array, a list, a series or a pyarrow array of (rows,).

    Raises DataError for a missing one, for values of several types, and for times that are neither numbers nor ISO
    8601. Spaces around a text do not count.
    """
    place = f"{of.where}, {of.name!r}"
    values = _plain(given, place)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise refused(place, "one value a row was expected", f"shape {values.shape}")
    if not len(values):
        raise refused(place, "rows were expected", "none")
    missing = _missing(values)
    if missing.any():
        expected = f"a value in every row was expected in data.{of.key}"
        raise refused(place, expected, f"{int(missing.sum())} that are missing")
    if of.key == "order" and values.dtype.kind == "U":
        values = _times(values, place)
    if of.key == "order" and values.dtype.kind == "f" and np.isinf(values).any():
        raise refused(place, "finite numbers were expected in data.order", "infinite ones")
    different, codes = np.unique(values, return_inverse=True)
    return Along(of, codes.astype(np.int64), different)


def _plain(given: Any, place: str) -> Array:
    """Return booleans, numbers, texts or datetime64 in microseconds."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "biufU":
        return np.char.strip(given) if given.dtype.kind == "U" else given
    if isinstance(given, np.ndarray) and given.dtype.kind == "M":
        return given.astype("M8[us]")
    import pyarrow as pa

    try:
        arrow = given if isinstance(given, pa.Array | pa.ChunkedArray) else _arrow(given)
        return _of_arrow(arrow, place)
    except (pa.ArrowException, TypeError, ValueError) as error:
        said = (str(error).splitlines() or ["others"])[0].rstrip(".")
        raise refused(place, "values of one type were expected", said) from error


def _arrow(given: Any) -> Any:
    import pyarrow as pa

    if hasattr(given, "to_arrow"):
        return given.to_arrow()
    return pa.array(given.tolist() if isinstance(given, np.ndarray) else given, from_pandas=True)


def _of_arrow(arrow: Any, place: str) -> Array:
    """Return a pyarrow array as NumPy's; a gap is NaN, NaT or an empty text."""
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_dictionary(arrow.type):
        arrow = arrow.cast(arrow.type.value_type)
    kind = arrow.type
    if kinds.is_timestamp(kind) or kinds.is_date(kind):
        return np.asarray(arrow.cast(pa.timestamp("us"), safe=False)).astype("M8[us]")
    if kinds.is_time(kind) or kinds.is_duration(kind):
        arrow = (
            arrow.cast(pa.int64(), safe=False) if kind.bit_width == 64 else arrow.cast(pa.int32())
        )
    elif kinds.is_decimal(kind):
        arrow = arrow.cast(pa.float64())
    elif kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind):
        pass
    elif kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
        texts = arrow.cast(pa.string()).fill_null("")
        return np.char.strip(np.asarray(texts.to_pylist(), dtype=str))
    elif not kinds.is_null(kind):
        expected = "numbers, texts, true/false or times were expected"
        raise refused(place, expected, f"values of type {kind}")
    if arrow.null_count:
        arrow = arrow.cast(pa.float64(), safe=False)
    return np.asarray(
        arrow.to_numpy(zero_copy_only=False) if isinstance(arrow, pa.Array) else arrow
    )


def _missing(values: Array) -> npt.NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "U":
        return np.isin(np.char.lower(values), sorted(GAPS))
    return np.zeros(len(values), dtype=bool)


def _times(texts: Array, place: str) -> Array:
    """Return texts as numbers, or as times of ISO 8601, whose order as texts may be another."""
    for kind in (np.int64, np.float64):
        try:
            return texts.astype(kind)
        except (ValueError, OverflowError):
            continue
    import pyarrow as pa

    for zone in (None, "UTC"):
        try:
            return _of_arrow(pa.array(texts.tolist()).cast(pa.timestamp("us", zone)), place)
        except pa.ArrowException:
            continue
    expected = "numbers alone, or times alone such as 2024-05-31 or 2024-05-31T12:00, were expected"
    odd = next((text for text in texts.tolist() if not _is_time(text)), texts[0])
    hint = "Write them so, all with an offset from UTC or none."
    raise refused(place, f"{expected} in data.order", repr(str(odd)), hint)


def _is_time(text: str) -> bool:
    try:
        np.datetime64(text)
    except ValueError:
        return False
    return True


def column_of(batches: Iterator[tuple[int, Any]]) -> Any:
    """Return the only column of a table's batches, whole."""
    import pyarrow as pa

    return pa.chunked_array([batch.column(0) for _, batch in batches])


def named_in(
    arrays: Any, parts: Mapping[str, str], options: DataOptions, where: str
) -> Along | None:
    """Return the groups or times among arrays by name; ``parts``: what follows x in the name of each part's features.

    Beside ``x_train`` the array ``NAME`` of training rows may be called ``NAME_train`` too. Raises DataError where
    there are no arrays by name, or none of that name for a part.
    """
    of = along_name(options, where)
    if of is None:
        return None
    if not isinstance(arrays, Mapping) or not parts:
        expected = f"a table, or arrays by name with one called {of.name!r}, were expected for data.{of.key}"
        hint = f"Return {{'x': x, 'y': y, {of.name!r}: ...}} from a loader."
        raise refused(where, expected, "arrays without a name", hint)
    known = [str(name) for name in arrays]
    found: list[Any] = []
    for part, ending in parts.items():
        name = next((one for one in (of.name + ending, of.name) if one in arrays), None)
        if name is None or (len(parts) > 1 and name == of.name and ending and part != "train"):
            wanted = f"an array {of.name + ending!r} of the {part} rows"
            of.absent(known, wanted)
        found.append(_plain(arrays[name], f"{where}, {name!r}"))
    kinds = {one.dtype.kind for one in found}
    if len(kinds) > 1 and not kinds <= set("biuf"):
        raise refused(f"{where}, {of.name!r}", "values of one type were expected", "several types")
    return read_along(of, np.concatenate(found))
