"""What a figure is drawn on: Matplotlib without pyplot, so that no window, backend or state of a program is touched.

What users typed is text in it: no formula, no TeX.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from orchestrator.report.formatting import printable
from orchestrator.report.html.charts.chart import FAINT, RAMP, WIDE

MARKERS = ("o", "s", "^", "D", "P", "X")
LINES = ("-", "--", ":")
COLOURS = LinearSegmentedColormap.from_list("scores", RAMP)
"""From Okabe and Ito's sky blue to their vermillion, as in the page."""
WIDTH, HEIGHT = 7.2, 4.2
"""Inches: two columns of a paper."""
MOST_LETTERS = 48
FALLBACKS = (
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Hiragino Sans",
    "Microsoft YaHei",
    "Arial Unicode MS",
)
"""For characters that the font lacks, where one of these is installed."""


def style() -> dict[str, Any]:
    """Return what figures set of Matplotlib's settings; all else is as the user's matplotlibrc has it."""
    known = set(fontManager.get_font_names())
    return {
        "text.usetex": False,
        "text.parse_math": False,
        "svg.fonttype": "none",  # text stays text: found by a search, read aloud
        "svg.hashsalt": "orchestrator",  # the same run, the same bytes
        "font.family": [
            *mpl.rcParams["font.family"],
            *(each for each in FALLBACKS if each in known),
        ],
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlelocation": "left",
        "grid.alpha": 0.4,
        "legend.frameon": False,
        "legend.fontsize": "small",
    }


class Drawing(Figure):  # type: ignore[misc]
    """A Matplotlib figure that a notebook shows by itself, and that keeps text text whenever it is drawn."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw it; Matplotlib makes some labels only now."""
        with mpl.rc_context(style()), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph")  # an SVG has the sign all the same
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        return self.written("png")

    def written(self, kind: str) -> bytes:
        """Return it as the content of a file of that kind: the same bytes each time."""
        into = io.BytesIO()
        dated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        self.savefig(into, format=kind, dpi=200, metadata=dated.get(kind))
        return into.getvalue()


@contextmanager
def canvas(width: float = WIDTH, height: float = HEIGHT) -> Iterator[Drawing]:
    """Yield an empty figure of that size in inches, and have what is put on it in our style."""
    with mpl.rc_context(style()):
        yield Drawing(figsize=(width, height), layout="constrained")


def said(value: Any, most: int = MOST_LETTERS) -> str:
    """Return a text as a label: on one line, and not longer than there is room for."""
    text = printable(str(value))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def score_scale(axes: Axes, values: Sequence[float], along: str = "y") -> None:
    """Draw an axis of scores on a log scale where they are wide apart."""
    if len(values) > 1 and min(values) > 0 and max(values) > WIDE * min(values):
        log_scale(axes, along, max(values) / min(values))


def log_scale(axes: Axes, along: str, ratio: float) -> None:
    """Draw an axis on a log scale, of so many times its low end; numbers as texts, since Matplotlib writes formulas."""
    (axes.set_yscale if along == "y" else axes.set_xscale)("log")
    line = axes.yaxis if along == "y" else axes.xaxis
    line.set_major_locator(
        LogLocator(subs=(1, 2, 3, 5) if ratio < 10 else (1, 2, 5) if ratio < 100 else (1,))
    )
    line.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}"))
    line.set_minor_formatter(NullFormatter())


def legend(axes: Axes, **more: Any) -> None:
    """Name what is drawn, above the axes; of the same look and name one."""
    known: dict[tuple[str, str], Any] = {}
    for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
        colour = handle.get_color() if hasattr(handle, "get_color") else ""
        known.setdefault((label, str(colour)), handle)
    if known:
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "ncols": 3, "borderaxespad": 0.2}
        axes.legend(list(known.values()), [label for label, _ in known], **(place | more))


def faint(axes: Axes, at: float, name: str = "", upright: bool = True) -> None:
    """Draw a dashed grey line across the axes, with its name at its end."""
    (axes.axvline if upright else axes.axhline)(
        at, color=FAINT, linestyle="--", linewidth=1, zorder=1
    )
    if name:
        axes.annotate(
            name, (at, 1), xycoords=("data", "axes fraction"), xytext=(3, -3), textcoords="offset points",
            va="top", fontsize="x-small", color="#5a6472",
        )  # fmt: skip


def entitle(figure: Drawing, title: str) -> Drawing:
    """Give a figure its title, and return it."""
    figure.suptitle(title, x=0.01, ha="left", fontsize="medium", fontweight="bold")
    return figure
