"""What a run remembers of its training data, and what today's data must have in common with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.experiment.winner import form_of
from orchestrator.records import RunRecords
from orchestrator.records.run import effective_manifest

if TYPE_CHECKING:
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


def _same_columns(old: Any, new: Any, where: str) -> None:
    then, now = ({each.name: each.kind for each in columns} for columns in (old, new))
    lacking = [name for name in then if name not in now]
    more = [name for name in now if name not in then]
    other = [f"{n} ({then[n]} -> {now[n]})" for n in then if n in now and then[n] != now[n]]
    said = [
        f"{word} {', '.join(names)}"
        for word, names in (("no column", lacking), ("further", more), ("of another kind", other))
        if names
    ]
    if said:
        hint = " Leave further ones out with data.drop." if more else ""
        raise DataError(
            f"{where}: the columns of then were expected ({', '.join(then)}). Received: {'; '.join(said)}.{hint}"
        )
