"""A winner taken elsewhere: written in the format that the file's ending asks for, and kept if it answers the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from orchestrator.catalog import CallableReference
from orchestrator.errors import PlaceError, RecordError, explain
from orchestrator.experiment.data_profile import rows_to_ask
from orchestrator.experiment.winner import (
    builder_of,
    data_of,
    form_of,
    learnt_of,
    model_file,
    not_saved,
    tempering_of,
)
from orchestrator.records import RunRecords, write_atomically

if TYPE_CHECKING:
    from orchestrator.training.exporting import Exported, Original

SHOWN = 8
WEIGHTS_ENDING = ".weights.h5"


@dataclass(frozen=True)
class ExportedWinner:
    """A file that was written: where, in which ``format``, and ``lines`` on how it is loaded and what it takes."""

    path: Path
    format: str
    lines: tuple[str, ...]


def format_of(to: str) -> str:
    """Return the name of the format that a file's ending asks for. Raises PlaceError for another ending."""
    from orchestrator.training.exporting import FORMATS

    if to.endswith(WEIGHTS_ENDING):
        return "weights"
    if to.endswith(("/", os.sep)) or not Path(to).suffix:
        return "saved_model"
    for name, each in FORMATS.items():
        if to.endswith(each.ending):
            return name
    endings = [each.ending for each in FORMATS.values() if each.ending != "/"]
    expected = f"expected a file ending in {', '.join(endings)} or {WEIGHTS_ENDING}, or a folder (saved_model/)"
    raise PlaceError(explain("export", expected, to))


def export_model(
    records: RunRecords,
    to: str | Path,
    overwrite: bool = False,
    calibrated: bool = False,
    builder: CallableReference | None = None,
) -> ExportedWinner:
    """Write the run's winner to ``to``, in the format of its ending, if it answers there as the run's own does.

    That is checked on 100 rows, from the file as it was written; where they differ, nothing is left behind. A
    winner that Keras could not save can be had as its weights (``.weights.h5``), and in any other format as long as its
    builder is there. ``calibrated``: it answers with the temperature that was fitted on the validation rows.
    Raises RecordError where the run has no winner, no temperature, or one that the format cannot hold; PlaceError where
    a package is missing, or ``to`` cannot be written or is there already.
    """
    from orchestrator.training.exporting import FORMATS
    from orchestrator.training.saved_model import are_kept

    format, path = format_of(str(to)), Path(to)
    kept = not_saved(records) is not None and are_kept(records.folder.best)
    if not kept:
        model_file(records)  # raises where there is none
    _check_possible(records, format, path, kept)
    _check_place(path, format, overwrite)
    if format == "weights":
        return _weights(records, path)
    if format == "keras" and not calibrated and "input_shape" not in data_of(records):
        return _unchecked(records, path)
    FORMATS[format].check_installed("export")
    original = _original(records, builder, calibrated)
    partial = path.with_name(f".{path.stem}.{uuid4().hex[:8]}.partial{path.suffix}")
    try:
        done = _checked(records, original, format, partial)
        _put(partial, path)
    except OSError as error:
        raise _not_written(path, error) from None
    finally:
        _remove(partial)
    return ExportedWinner(path, format, tuple(_lines(records, path, format, done)))


def _check_possible(records: RunRecords, format: str, to: Path, kept: bool) -> None:
    if format == "weights" and not kept:
        expected = "expected a file ending in .keras, since Keras could save the winner as a whole"
        raise PlaceError(explain("export", expected, str(to)))
    if format == "keras" and kept:
        raise RecordError(
            f"export: expected a file ending in {WEIGHTS_ENDING}, since Keras could not save the winner as a whole."
            f" Received: {str(to)!r}. {not_saved(records)}"
        )


def _check_place(to: Path, format: str, overwrite: bool) -> None:
    """Raise PlaceError where something is there that is not to be replaced, or nothing can be written."""
    if to.exists() and not overwrite:
        expected = "expected a file that does not exist (--force overwrites it)"
        raise PlaceError(explain("export", expected, str(to)))
    is_saved_model = to.is_dir() and (to / "saved_model.pb").is_file()
    if to.exists() and to.is_dir() != (format == "saved_model"):
        expected = "expected a folder" if format == "saved_model" else "expected a file"
        raise PlaceError(explain("export", expected, str(to)))
    if to.is_dir() and not is_saved_model and any(to.iterdir()):
        expected = "expected a SavedModel, or an empty folder, to replace"
        raise PlaceError(explain("export", expected, f"{to}, which holds other files"))
    folder = to.absolute().parent
    if not folder.is_dir():
        raise PlaceError(explain("export", "expected a folder that exists", str(folder)))
    if not os.access(folder, os.W_OK):
        raise PlaceError(explain("export", "expected a folder that can be written", str(folder)))


def _not_written(to: Path, error: OSError) -> PlaceError:
    expected = "expected a file that can be written"
    return PlaceError(explain("export", expected, f"{to}: {error.strerror or error}"))


def _weights(records: RunRecords, to: Path) -> ExportedWinner:
    from orchestrator.training.saved_model import RECIPE, WEIGHTS

    try:
        write_atomically(to, (records.folder.best / WEIGHTS).read_bytes())
    except OSError as error:
        raise _not_written(to, error) from None
    line = (
        "These are weights alone: run.load_model() builds the model around them; elsewhere build it with the"
        f" hyperparameters in {records.folder.best / RECIPE} and call load_weights({str(to)!r})."
    )
    return ExportedWinner(to, "weights", (line,))


def _unchecked(records: RunRecords, to: Path) -> ExportedWinner:
    """Copy the winner of a run of an older version, which does not say what rows it could be asked about."""
    try:
        write_atomically(to, model_file(records).read_bytes())
    except OSError as error:
        raise _not_written(to, error) from None
    line = (
        "Copied byte by byte, and not asked again: the run does not say what rows it learned from."
    )
    return ExportedWinner(to, "keras", (f"Load it with {_load_keras(to)}.", line))


def _original(records: RunRecords, builder: CallableReference | None, calibrated: bool) -> Original:
    from orchestrator.training.exporting import Original

    found = builder or builder_of(records)
    reference = found if isinstance(found, CallableReference) else None
    if reference is None and not_saved(records) is not None:
        raise RecordError(str(found))
    how = tempering_of(records) if calibrated else None
    form = form_of(records)
    return Original(records.folder.best.resolve(), reference, how, form.table, form.shape)


def _checked(records: RunRecords, original: Original, format: str, to: Path) -> Exported:
    """Have the file written by a process on its backend, and compared with what the run's own model answers."""
    from orchestrator.training.exporting import FORMATS, ROWS, ExportProcess, File, Order
    from orchestrator.training.keras_setup import BACKEND, is_installed

    own = str(records.experiment.get("backend") or BACKEND)
    own = own if is_installed(own) else BACKEND  # a file of Keras's loads on any
    backend = FORMATS[format].backend or own
    rows = rows_to_ask(records, form_of(records), ROWS)
    with ExportProcess(own) as first, ExportProcess(backend) as other:
        writer = first if backend == own else other
        writer.start()
        expected, probabilities = first.do(Order(original, rows))
        file = File(to.absolute(), format, _metadata(records, original), expected, probabilities)
        done: Exported = writer.do(Order(original, rows, file))
        return done


def _metadata(records: RunRecords, original: Original) -> dict[str, Any]:
    classes = list(learnt_of(records).classes)
    told = {"class_names": classes} if classes else {}
    return told | ({"temperature": original.tempering.temperature} if original.tempering else {})


def _put(partial: Path, to: Path) -> None:
    """Put a file, or a folder, in its place; an older folder is gone only when the new one is there."""
    if not to.is_dir():
        partial.replace(to)
        return
    before = to.with_name(f".{to.name}.{uuid4().hex[:8]}.before")
    to.replace(before)
    try:
        partial.replace(to)
    except OSError:
        before.replace(to)
        raise
    _remove(before)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _lines(records: RunRecords, to: Path, format: str, done: Exported) -> list[str]:
    """Return how a file is loaded, what it takes and gives, and by how much its answers were off."""
    from orchestrator.training.exporting import ROWS

    place = repr(str(to))
    load = {
        "saved_model": f"tf.saved_model.load({place}).signatures['serving_default'](...)",
        "tflite": f"tf.lite.Interpreter({place}).get_signature_runner()(...), or the same of LiteRT's Interpreter",
        "onnx": f"onnxruntime.InferenceSession({place}).run(None, {{...}})",
        "pt2": f"torch.export.load({place}).module()(...)",
    }.get(format) or _load_keras(to)
    lines = [f"Load it with {load}.", *_takes(records, done)]
    classes = learnt_of(records).classes
    if classes:
        lines.append(f"Its classes, in order: {_some(classes)} (all are in its metadata.json).")
    exact = "answers exactly as" if not done.off else f"is off by at most {done.off:.1g} from"
    return [*lines, f"Checked: loaded again, it {exact} the run's own model on {ROWS} rows."]


def _load_keras(to: Path) -> str:
    from orchestrator.training.saved_model import custom_objects_in

    own = custom_objects_in(to)
    known = ", ".join(f"{name!r}: {name}" for name in own)
    classes = f", custom_objects={{{known}}}" if own else ""
    return f"keras.saving.load_model({str(to)!r}{classes})"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _takes(records: RunRecords, done: Exported) -> list[str]:
    from orchestrator.training.saved_model import takes_named_columns

    form = form_of(records)
    if form.table is not None and takes_named_columns(form.table):
        return _takes_columns([column.name for column in form.table.columns], done)
    if form.table is not None:
        return [
            f"It takes the {len(form.table.features):,} features of a row side by side, unscaled; 'orchestrator"
            " predict' makes them of a table's columns."
        ]
    shape = form.shape
    if isinstance(shape, Mapping):
        shape = ", ".join(f"{name!r} {one}" for name, one in shape.items())
    return [f"It takes rows of shape {shape} as they are before any scaling."]


def _takes_columns(names: Sequence[str], done: Exported) -> list[str]:
    """Return what a table's file takes, by the names that its columns have there."""
    coded = [one["column"] for one in done.inputs if one.get("vocabulary")]
    other = [
        f"{one['column']} as {one['name']}" for one in done.inputs if one["name"] != one["column"]
    ]
    lines = [
        f"It takes a dict of the columns {_some(names)}, each of shape (rows, 1): numbers as float32 with NaN for a"
        " gap, texts as strings with '' for one."
    ]
    if other:
        lines.append(f"Names in it: {_some(other)}.")
    if coded:
        lines.append(
            f"This format has no texts: {_some(coded)} are given as numbers, 1 for the first of the input's vocabulary"
            " in metadata.json, 0 for a text that is not in it. Filling, encoding and scaling are inside."
        )
    return lines
