"""The winner as a file of one's own."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import PlaceError, explain
from orchestrator.experiment.run import Run
from orchestrator.records import write_atomically


def export_model(run: Run, to: Path, overwrite: bool = False) -> None:
    """Copy the run's winner, a Keras model, to ``to``, which ends in ``.keras``.

    Raises RecordError where the run has no winner, PlaceError where ``to`` cannot be written or is
    there already.
    """
    if to.suffix != ".keras":
        raise PlaceError(explain("export", "expected a file ending in .keras", str(to)))
    model = run.model_file
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
