"""Pages for a browser: a run's, and several runs' beside each other. Records in, one HTML file out."""

from orchestrator.report.html.page import report_html, write_report

__all__ = ["report_html", "write_report"]
