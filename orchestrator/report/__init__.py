"""What people read: tables, sentences and views, all drawn from the records.

pandas is imported when the first table is made, so that this room itself loads at once.
"""

from orchestrator.report.columns import legend
from orchestrator.report.comparing import compare_lines, compare_table
from orchestrator.report.days import checkpoints_line, days_table
from orchestrator.report.edges import edge_hints
from orchestrator.report.files import write_csvs
from orchestrator.report.jobs_table import jobs_table
from orchestrator.report.journal_table import journal_lines, journal_table
from orchestrator.report.live import NullView, View, open_panda_view, open_view
from orchestrator.report.live.caviar import LiveView, PlainView
from orchestrator.report.live.panda import PandaView, PlainPandaView
from orchestrator.report.narrator import deed, request_words
from orchestrator.report.predictions import predictions_table
from orchestrator.report.render import FORMATS, render
from orchestrator.report.tables import (
    draws_table,
    epochs_table,
    runs_table,
    trials_table,
)
from orchestrator.report.words import show_lines, winner_lines

__all__ = [
    "FORMATS",
    "LiveView",
    "NullView",
    "PandaView",
    "PlainPandaView",
    "PlainView",
    "View",
    "checkpoints_line",
    "compare_lines",
    "compare_table",
    "days_table",
    "deed",
    "draws_table",
    "edge_hints",
    "epochs_table",
    "jobs_table",
    "journal_lines",
    "journal_table",
    "legend",
    "open_panda_view",
    "open_view",
    "predictions_table",
    "render",
    "request_words",
    "runs_table",
    "show_lines",
    "trials_table",
    "winner_lines",
    "write_csvs",
]
