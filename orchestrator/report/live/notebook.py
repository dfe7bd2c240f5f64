"""A run's view in a Jupyter notebook: one block that is drawn again in place, by IPython's display and no widget."""

from __future__ import annotations

import contextvars
import io
import sys
import threading
from typing import Any, Self

from rich.console import Console
from rich.text import Text

from orchestrator.report.live.terminal_view import Redrawn

SECONDS_BETWEEN = 1.0
"""A notebook keeps up with one block a second, and a kernel's messages cost nothing at that."""
COLUMNS, LINES = 100, 30
PRE = '<pre style="line-height:1.25;margin:0;background:none;color:inherit;overflow-x:auto">{code}</pre>'


def in_notebook() -> bool:
    """Return whether this process is a Jupyter kernel, whose displays can be drawn again."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


def _paper(file: io.StringIO, **more: Any) -> Console:
    """Return a console without a terminal; kernels ask for colours by their environment."""
    plain: dict[str, Any] = {"force_jupyter": False, "force_terminal": False, "color_system": None}
    return Console(file=file, width=COLUMNS, height=LINES, highlight=False, **plain, **more)


class InNotebook(Redrawn):
    """Has a view of the terminal drawn in a notebook's cell instead; what is said stays above it.

    A thread draws, so that the clock goes on while a driver waits; nothing is drawn after the end.
    """

    def __init__(self, *what: Any, **more: Any) -> None:
        self._said = io.StringIO()
        super().__init__(*what, **more)
        self._console = _paper(self._said)
        self._over = threading.Event()
        self._shown: Any = None
        self._last = ""

    def __enter__(self) -> Self:
        from IPython.display import display

        text, html = self._block(self.frame())
        self._shown = display({"text/plain": text, "text/html": html}, raw=True, display_id=True)
        context = contextvars.copy_context()  # a kernel knows by it which cell is answered
        self._drawer = threading.Thread(target=context.run, args=(self._draw_on,), daemon=True)
        self._drawer.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._drawer.join()
        with self._lock:
            for line in self._last_lines():
                self._console.print(line)
        self._draw(Text())

    def _draw_on(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN):
            self._draw(self.frame())

    def _draw(self, frame: Text) -> None:
        text, html = self._block(frame)
        if text != self._last:
            self._last = text
            self._shown.update({"text/plain": text, "text/html": html}, raw=True)

    def _block(self, frame: Text) -> tuple[str, str]:
        """Return what was said, and the view below it, as a text and as HTML."""
        whole = Text("\n").join([Text(self._said.getvalue().rstrip("\n")), frame])
        whole = Text("\n").join(line for line in whole.split("\n") if line.plain)
        paper = _paper(io.StringIO(), record=True)
        paper.print(whole)
        html = paper.export_html(inline_styles=True, code_format=PRE, clear=True)
        return whole.plain, html

    def _key_line(self) -> Text:
        """Return what ends the view: a notebook has no keys."""
        return Text("Interrupt the kernel to stop the run", style="dim")
