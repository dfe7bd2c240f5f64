"""The winner as a file of one's own."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import PlaceError, RecordError, explain
from orchestrator.experiment.run import Run
from orchestrator.records import write_atomically

SHOWN = 8


def export_model(run: Run, to: Path, overwrite: bool = False) -> None:
    """Copy the run's winner, a Keras model, to ``to``, which ends in ``.keras``.

    A winner that Keras could not save is copied as weights, to a file that ends in ``.weights.h5``.
    Raises RecordError where the run has no winner, PlaceError where ``to`` cannot be written or is
    there already.
    """
    from orchestrator.experiment.winner import not_saved
    from orchestrator.training.saved_model import WEIGHTS, are_kept

    weights_alone = not_saved(run.records) is not None and are_kept(run.folder.best)
    ending = ".weights.h5" if weights_alone else ".keras"
    if weights_alone and to.suffix == ".keras":
        raise RecordError(
            f"export: expected a file ending in .weights.h5, since Keras could not save the winner as a whole."
            f" Received: {str(to)!r}. {not_saved(run.records)}"
        )
    if not to.name.endswith(ending):
        raise PlaceError(explain("export", f"expected a file ending in {ending}", str(to)))
    model = run.folder.best / WEIGHTS if weights_alone else run.model_file
    if to.exists() and not overwrite:
        expected = "expected a file that does not exist (--force overwrites it)"
        raise PlaceError(explain("export", expected, str(to)))
    try:
        write_atomically(to, model.read_bytes())
    except OSError as error:
        received = f"{to}: {error.strerror}"
        raise PlaceError(
            explain("export", "expected a file that can be written", received)
        ) from None


def export_lines(run: Run, to: Path) -> list[str]:
    """Return how an exported file is loaded, what it takes, and the order of its classes."""
    from orchestrator.training.saved_model import RECIPE, custom_objects_in

    if to.name.endswith(".weights.h5"):
        folder = run.folder.best
        return [
            "These are weights alone: run.load_model() builds the model around them; elsewhere build it with the"
            f" hyperparameters in {folder / RECIPE} and call load_weights({str(to)!r})."
        ]
    own = custom_objects_in(to)
    classes = (
        f", custom_objects={{{', '.join(f'{name!r}: {name}' for name in own)}}}" if own else ""
    )
    lines = [f"Load it with keras.saving.load_model({str(to)!r}{classes})."]
    return [*lines, *_takes(run), *_gives(run)]


def _takes(run: Run) -> list[str]:
    from orchestrator.experiment.winner import form_of
    from orchestrator.training.saved_model import takes_named_columns

    if "input_shape" not in (run.records.manifest.get("data") or {}):
        return []
    form = form_of(run.records)
    if form.table is None:
        shape = form.shape
        if isinstance(shape, dict):
            shape = ", ".join(f"{name!r} {one}" for name, one in shape.items())
        return [f"It takes rows of shape {shape} as they are before any scaling."]
    names = [column.name for column in form.table.columns]
    if not takes_named_columns(form.table):
        features = len(form.table.features)
        return [
            f"It takes the {features:,} features of a row side by side, unscaled; 'orchestrator predict' makes them"
            " of a table's columns."
        ]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [
        f"It takes a dict of the columns {', '.join(names[:SHOWN])}{more}, each of shape (rows, 1): numbers as float32"
        " with NaN for a gap, texts as strings with '' for one."
    ]


def _gives(run: Run) -> list[str]:
    from orchestrator.experiment.winner import learnt_of

    classes = learnt_of(run.records).classes
    if not classes:
        return []
    more = f" and {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    return [
        f"Its classes, in order: {', '.join(classes[:SHOWN])}{more} (all are in its metadata.json)."
    ]
