"""The page of one run, or of several beside each other: one HTML file that needs nothing else, not even a network.

What users typed is text everywhere. Jinja escapes it in HTML; figures and curves are JSON in which no ``<`` stands; and
the page's own policy allows no script but the three it brings, known by their hashes, and no address to load from.
"""

from __future__ import annotations

import hashlib
import json
import math
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from orchestrator.analysis import Importance, importance
from orchestrator.errors import RecordError
from orchestrator.records import RunRecords, write_atomically
from orchestrator.report.comparison import Comparison, summarize_comparison
from orchestrator.report.formatting import assignments, cell, clock, minute, printable
from orchestrator.report.html.charts import Chart, thinned
from orchestrator.report.html.sections import comparison_sections, sections_of
from orchestrator.report.run_summary import RunSummary, TrialSummary, summarize

SCRIPTS = ("echarts.min.js", "tablesort.min.js", "report.js")
MOST_CURVE_POINTS = 120_000
"""Of all metrics of all trials, for the page part that each trial has: best first, then their metric alone."""
FEWEST_POINTS = 8
FIRST_PAGE = 200
"""Rows of the table of trials that are laid out before someone asks for more; in print all are."""
ON_A_CARD = 5


def write_report(
    runs: Sequence[RunRecords], file: Path, thorough: bool = False, examples: bool = True
) -> None:
    """Write the page of a run, or of several, to ``file``; of one, ``thorough`` adds what mattered: it takes seconds.

    ``examples``: with the rows that the winner gets most wrong, where the run kept any. Raises OSError where it cannot
    be written.
    """
    asked = thorough and len(runs) == 1
    summaries = [summarize(each, _importance(each) if asked else None) for each in runs]
    if not examples:
        summaries = [replace(each, examples={}) for each in summaries]
    comparison = summarize_comparison(runs) if len(runs) > 1 else None
    write_atomically(file, report_html(summaries, comparison))


def _importance(records: RunRecords) -> Importance | None:
    try:
        return importance(records)
    except RecordError:  # a panda, or too few trials to tell
        return None


def report_html(runs: Sequence[RunSummary], comparison: Comparison | None = None) -> str:
    """Return the page of one run, or of several beside each other."""
    sections = comparison_sections(runs, comparison) if comparison else sections_of(runs[0])
    charts = [chart for section in sections for chart in section.charts]
    html: str = _template("report.html.jinja").render(
        title=" · ".join(run.name for run in runs),
        runs=runs,
        sections=sections,
        style=_trusted(_asset("report.css")),
        scripts=[_trusted(_asset(name)) for name in SCRIPTS],
        policy=_policy(),
        trials=trials_of(runs[0]) if len(runs) == 1 else None,
        data=_trusted(embedded(_data(runs, charts))),
    )
    return html


def embedded(value: Any) -> str:
    """Return JSON that can stand inside of a script element: it holds neither a tag's sign nor a line separator."""
    text = json.dumps(_plain(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"})


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: printable texts, numbers to six digits, nothing for what is not finite."""
    match value:
        case str():
            return printable(value)
        case bool() | None | int():
            return value
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case Mapping():
            return {printable(str(key)): _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return printable(str(value))


def _data(runs: Sequence[RunSummary], charts: Iterable[Chart]) -> dict[str, Any]:
    drawn = {c.id: {"option": c.option, "switches": list(c.switches.values())} for c in charts}
    return {"charts": drawn, "curves": _curves(runs[0]) if len(runs) == 1 else {}}


def _curves(run: RunSummary) -> dict[str, Any]:
    """Return every trial's curve for its own page part."""
    left = MOST_CURVE_POINTS
    most = max(FEWEST_POINTS, left // max(1, len(run.trials)))
    found: dict[str, Any] = {}
    for trial in run.trials:
        metrics = trial.curve.metrics
        wanted = [name for name in metrics if name == run.metric or left > 0]
        kept = thinned(metrics.get(run.metric, ()), most, _best_place(trial))
        left -= len(wanted) * len(kept)
        found[trial.trial] = {
            "epochs": [trial.curve.epochs[i] for i in kept],
            "metrics": {name: [metrics[name][i] for i in kept] for name in wanted},
        }
    return found


def _best_place(trial: TrialSummary) -> list[int]:
    return [i for i, epoch in enumerate(trial.curve.epochs) if epoch == trial.best_epoch]


def trials_of(run: RunSummary) -> dict[str, Any]:
    """Return the table of trials: its columns, those of numbers marked, its rows as HTML, and what all have in common.

    Rows are joined here: a template takes seconds for ten thousand.
    """
    from markupsafe import escape

    told, same = _varying(run)
    columns = [(name, _are_numbers(values)) for name, values in told.items()]
    opened = ['<td class="n">' if numeric else "<td>" for _, numeric in columns]
    rows = []
    for place, values in enumerate(zip(*told.values(), strict=True)):
        name = escape(cell(values[0]))
        cells = [f'<td><a href="#trial-{name}">{name}</a>']
        rest = zip(opened[1:], values[1:], strict=True)
        cells += [f"{begin}{escape(cell(value))}" for begin, value in rest]
        later = ' class="later"' if place >= FIRST_PAGE else ""
        rows.append(f'<tr id="trial-{name}"{later}>{"".join(cells)}')
    return {"columns": columns, "rows": _trusted("\n".join(rows)), "count": len(rows), "same": same}


def card(records: RunRecords) -> str:
    """Return a run at a glance as a piece of HTML, for notebooks: its state, its best, its first trials."""
    run = summarize(records)
    told, _ = _varying(run)
    first = [*zip(*told.values(), strict=True)][:ON_A_CARD]
    table = {"columns": [(name, None) for name in told], "first": first}
    html: str = _template("card.html.jinja").render(run=run, table=table)
    return html


def _varying(run: RunSummary) -> tuple[dict[str, Sequence[Any]], dict[str, Any]]:
    """Return the columns of the table that say different things of trials, and what the others say of all."""
    told = {name: each for name, each in run.table.items() if any(v is not None for v in each)}
    same = {name: each[0] for name, each in told.items() if _is_constant(name, each)}
    return {name: each for name, each in told.items() if name not in same}, same


def _is_constant(name: str, values: Sequence[Any]) -> bool:
    """Return whether a column says the same of each of several trials, so that it need not be one."""
    return name != "trial" and len(values) > 1 and all(value == values[0] for value in values)


def _are_numbers(values: Sequence[Any]) -> bool:
    kinds = {type(value) for value in values if value is not None}
    return bool(kinds) and kinds <= {int, float}


@cache
def _template(name: str) -> Any:
    # Imported here, as pandas' styles do: it takes a tenth of a second.
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("orchestrator.report.html", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=_shown,
    )
    environment.filters |= {"clock": clock, "minute": minute, "assignments": assignments}
    return environment.get_template(name)


@cache
def _asset(name: str) -> str:
    return (resources.files("orchestrator.report.html") / "assets" / name).read_text("utf-8")


@cache
def _policy() -> str:
    """Return the page's Content-Security-Policy: nothing is loaded, and no script runs but these."""
    digests = (
        b64encode(hashlib.sha256(_asset(name).encode()).digest()).decode() for name in SCRIPTS
    )
    hashes = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def _trusted(text: str) -> Any:
    """Return our own files, and what ``embedded`` made safe, as they are."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704


def _shown(value: Any) -> Any:
    """Return what stands in the page for a value: a number to four digits, a text on one line, nothing for None."""
    if value is None or (isinstance(value, str) and hasattr(value, "__html__")):
        return "" if value is None else value
    return cell(value)
