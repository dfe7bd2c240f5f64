"""What people read: tables, sentences and views, all drawn from the records.

pandas is imported when the first table is made, so that this room itself loads at once.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.report.analysis_text import (
        diagnosis_lines,
        importance_lines,
        importance_table,
    )
    from orchestrator.report.columns import legend
    from orchestrator.report.comparison import compare_lines, compare_table
    from orchestrator.report.differences import difference_lines, differences_of
    from orchestrator.report.figures import Plots, write_figures
    from orchestrator.report.html import card, write_report
    from orchestrator.report.journal_text import describe_action, describe_request
    from orchestrator.report.live import NullView, View, open_panda_view, open_view
    from orchestrator.report.live.caviar import LiveView, PlainView
    from orchestrator.report.live.panda import PandaView, PlainPandaView
    from orchestrator.report.model_card import model_card
    from orchestrator.report.panda_tables import (
        checkpoints_line,
        days_table,
        journal_lines,
        journal_table,
    )
    from orchestrator.report.reevaluation_text import (
        HISTORY_IMPORTANCE,
        history_columns,
        history_lines,
        history_table,
        reevaluation_lines,
    )
    from orchestrator.report.render import FORMATS, columns_text, render
    from orchestrator.report.rounds_text import finding_lines, rounds_lines, rounds_table
    from orchestrator.report.runs import run_columns, runs_table
    from orchestrator.report.summary import show_lines, winner_lines
    from orchestrator.report.tables import (
        draws_table,
        epochs_table,
        jobs_table,
        predictions_table,
        trials_table,
        write_csvs,
    )
    from orchestrator.report.trial_text import Pick, for_people, picked, trial_lines
    from orchestrator.report.winner_text import detail_lines, details

__all__ = [
    "FORMATS",
    "HISTORY_IMPORTANCE",
    "LiveView",
    "NullView",
    "PandaView",
    "Pick",
    "PlainPandaView",
    "PlainView",
    "Plots",
    "View",
    "card",
    "checkpoints_line",
    "columns_text",
    "compare_lines",
    "compare_table",
    "days_table",
    "describe_action",
    "describe_request",
    "detail_lines",
    "details",
    "diagnosis_lines",
    "difference_lines",
    "differences_of",
    "draws_table",
    "epochs_table",
    "finding_lines",
    "for_people",
    "history_columns",
    "history_lines",
    "history_table",
    "importance_lines",
    "importance_table",
    "jobs_table",
    "journal_lines",
    "journal_table",
    "legend",
    "model_card",
    "open_panda_view",
    "open_view",
    "picked",
    "predictions_table",
    "reevaluation_lines",
    "render",
    "rounds_lines",
    "rounds_table",
    "run_columns",
    "runs_table",
    "show_lines",
    "trial_lines",
    "trials_table",
    "winner_lines",
    "write_csvs",
    "write_figures",
    "write_report",
]

load_when_used(__name__)
