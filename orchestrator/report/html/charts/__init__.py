"""The figures of a page: from summaries alone, options of Apache ECharts as plain JSON."""

from orchestrator.report.html.charts.chart import Chart, Table, thinned
from orchestrator.report.html.charts.comparison import comparison_charts
from orchestrator.report.html.charts.course import course_charts
from orchestrator.report.html.charts.panda import panda_charts
from orchestrator.report.html.charts.space import space_charts
from orchestrator.report.html.charts.winner import Mistakes, mistakes, winner_charts, winner_tables

__all__ = [
    "Chart",
    "Mistakes",
    "Table",
    "comparison_charts",
    "course_charts",
    "mistakes",
    "panda_charts",
    "space_charts",
    "thinned",
    "winner_charts",
    "winner_tables",
]
