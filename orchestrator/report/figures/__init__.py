"""A run's figures for notebooks and papers: Matplotlib's, from the same ``RunSummary`` as its page.

Matplotlib is imported when the first one is drawn; it comes with the extra ``figures``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.analysis import importance
from orchestrator.errors import PlaceError, RecordError, UnknownNameError, explain
from orchestrator.records import RunRecords, write_atomically
from orchestrator.report.comparison import summarize_comparison
from orchestrator.report.pareto import tradeoffs
from orchestrator.report.run_summary import RunSummary, summarize

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("svg", "png")
ALONG = ("epochs", "seconds")
PARTS = ("test", "validation")
OF_A_PANDA = ("days", "tree", "best_so_far", "confusion", "calibration")
OF_ODD_DETAILS = (AttributeError, LookupError, TypeError, ValueError)


def drawing(room: str) -> Any:
    """Return the module that draws figures of that kind. Raises PlaceError where Matplotlib is not there."""
    try:
        import_module("matplotlib")
    except ModuleNotFoundError:
        raise PlaceError(
            "figures: expected the package matplotlib. Received: none is installed here."
            " Install it: pip install 'orchestrator[figures]' (or pip install matplotlib)."
        ) from None
    return import_module(f"orchestrator.report.figures.{room}")


class Plots:
    """A run's figures, each a ``matplotlib.figure.Figure``: a notebook shows it, ``savefig`` writes it.

    Each raises RecordError where the run has nothing of that kind, and PlaceError where Matplotlib is not installed.
    No figure tells things apart by colour alone, and none is known to pyplot, so that none needs to be closed.
    """

    NAMES = (
        *("curves", "parallel", "plane", "best_so_far", "rungs", "importance", "race", "rounds", "time", "pareto"),
        *("confusion", "calibration", "days", "tree"),
    )  # fmt: skip

    def __init__(self, records: RunRecords) -> None:
        self._records = records

    def __repr__(self) -> str:
        return f"<figures of {self._records.name}: {', '.join(f'{name}()' for name in self.NAMES)}>"

    @cached_property
    def _run(self) -> RunSummary:
        return summarize(self._records)

    def curves(self, x: str = "epochs", log: bool = False) -> Figure:
        """Draw every trial's curve against ``epochs`` or ``seconds``, on a log axis if wanted: the best five marked."""
        _known("x", x, ALONG)
        return self._found(drawing("search").curves(self._run, x, log), "a trial with an epoch")

    def parallel(self) -> Figure:
        """Draw each trial as a line through its hyperparameters, on the scales of their draws, to its score."""
        return self._found(
            drawing("search").parallel(self._run), "two trials with scores, and what varied"
        )

    def plane(self) -> Figure:
        """Draw trials by α and 1-β, or the first two numbers of the space, their scores as colours."""
        return self._found(
            drawing("search").plane(self._run),
            "two trials with scores, and two numbers that varied",
        )

    def best_so_far(self, x: str = "epochs") -> Figure:
        """Draw the best value so far against the ``epochs`` of all trials, or ``seconds``."""
        _known("x", x, ALONG)
        return self._found(drawing("course").best_so_far([self._run], x), "a trial with a score")

    def rungs(self) -> Figure:
        """Draw how many trials came to each rung and went on, with the cutoffs."""
        return self._found(
            drawing("course").rungs(self._run), "a scheduler with rungs that stopped trials"
        )

    def importance(self) -> Figure:
        """Draw which hyperparameters mattered, with intervals; that takes seconds. Needs 20 trials."""
        found = summarize(self._records, importance(self._records))
        return self._found(drawing("course").importance(found), "hyperparameters that varied")

    def race(self) -> Figure:
        """Draw the finalists' replicates, means and intervals."""
        return self._found(drawing("course").race(self._run), "finalists that were trained again")

    def rounds(self) -> Figure:
        """Draw where each round's ranges lay within the first one's."""
        return self._found(drawing("course").rounds(self._run), "a second round")

    def time(self) -> Figure:
        """Draw what the workers' seconds went into."""
        return self._found(drawing("course").time_spent(self._run), "a trial with an epoch")

    def pareto(self, x: str | None = None) -> Figure:
        """Draw the score against what it cost, or against one ``x`` of it, such as ``parameters``; the front marked."""
        costs = [each.cost for each in tradeoffs(self._run)]
        if x is not None:
            _known("x", x, costs)
        return self._found(
            drawing("course").pareto(self._run, x), "trials that differ in what they cost"
        )

    def confusion(self, part: str | None = None) -> Figure:
        """Draw which classes the winner takes for which, of ``test`` rows where there are such, else ``validation``."""
        return self._of_winner(
            "confusion", part, "a winner that was examined, of at most 50 classes"
        )

    def calibration(self, part: str | None = None) -> Figure:
        """Draw how often the winner was right, by how sure it was, of ``test`` rows, else ``validation``."""
        return self._of_winner(
            "calibration", part, "a winner that was examined and gives probabilities"
        )

    def days(self) -> Figure:
        """Draw a panda's curves by day, with what was done to it as numbered marks, and what was changed below."""
        panda, metric = self._run.panda, self._run.metric
        return self._found(drawing("babysat").days(panda, metric), "a panda with an epoch")

    def tree(self) -> Figure:
        """Draw which of a panda's branches goes on from which, and from when."""
        return self._found(drawing("babysat").tree(self._run.panda), "a panda with a branch")

    def all(self) -> Iterator[tuple[str, Figure]]:
        """Yield each figure that the run has something for, with its name."""
        for name in self.NAMES if self._run.panda is None else OF_A_PANDA:
            try:
                yield name, getattr(self, name)()
            except RecordError:
                continue

    def _of_winner(self, what: str, part: str | None, expected: str) -> Figure:
        if part is not None:
            _known("part", part, PARTS)
        draw = getattr(drawing("winner"), what)
        try:
            found = draw(self._run.details, part)
        except OF_ODD_DETAILS:  # best/details.json was edited
            found = None
        return self._found(found, expected)

    def _found(self, figure: Figure | None, expected: str) -> Figure:
        if figure is None:
            raise RecordError(
                f"{self._records.name}: expected {expected}, to draw it. Received: a run without,"
                f" which is {self._records.status}."
            )
        return figure


def _known(where: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise UnknownNameError(explain(where, "expected what can be drawn", value, known))


def write_figures(runs: Sequence[RunRecords], folder: Path) -> list[Path]:
    """Write each figure of a run, or of several beside each other, as SVG and PNG, and return the files.

    The same run gives the same bytes. Raises PlaceError where Matplotlib is not installed, OSError where the folder
    cannot be written.
    """
    drawing("canvas")  # before anything is made
    found = Plots(runs[0]).all() if len(runs) == 1 else _together(runs)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, figure in found:
        for kind in KINDS:
            file = folder / f"{name}.{kind}"
            write_atomically(file, figure.written(kind))  # type: ignore[attr-defined]
            files.append(file)
    return files


def _together(runs: Sequence[RunRecords]) -> Iterator[tuple[str, Figure]]:
    """Yield the figures of several runs, one of each kind for each metric that they are judged by."""
    summaries, compared = [summarize(each) for each in runs], summarize_comparison(runs)
    for place, metric in enumerate(dict.fromkeys(run.metric for run in summaries)):
        same = [run for run in summaries if run.metric == metric]
        number = f"-{place + 1}" if place else ""
        found = {
            "best_curves": drawing("comparison").best_curves(same, metric),
            "best_so_far": drawing("course").best_so_far(same, "epochs"),
        }
        yield from ((name + number, figure) for name, figure in found.items() if figure)
    if figure := drawing("comparison").behind(compared):
        yield "margins", figure
