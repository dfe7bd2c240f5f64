"""Pages for a browser: a run's, and several runs' beside each other. Records in, one HTML file out."""

from orchestrator.report.html.page import card, report_html, write_report

__all__ = ["card", "report_html", "write_report"]
