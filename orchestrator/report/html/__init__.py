"""Pages for a browser: a run's, and several runs' beside each other. Records in, one HTML file out."""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.report.html.page import card, report_html, write_report

__all__ = ["card", "report_html", "write_report"]

load_when_used(__name__)
