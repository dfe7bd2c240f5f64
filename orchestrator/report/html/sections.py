"""The parts of a run's page, in their order: a heading, sentences, figures and tables each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.report.comparison import Comparison
from orchestrator.report.differences import flat
from orchestrator.report.formatting import cell
from orchestrator.report.html.charts import (
    Chart,
    Table,
    comparison_charts,
    course_charts,
    mistakes,
    panda_charts,
    space_charts,
    winner_charts,
    winner_tables,
)
from orchestrator.report.model_card import card_of
from orchestrator.report.panda_summary import PandaSummary
from orchestrator.report.run_summary import RunSummary

NOT_FOR_ALL = (
    "These are rows of the data: orchestrator report {} --no-examples writes a page without them."
)


@dataclass(frozen=True)
class Section:
    """A part of the page; ``kind`` says which template draws it besides its sentences, figures and tables.

    ``pictures`` are (address of a PNG, what it is).
    """

    id: str
    title: str
    says: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    kind: str = ""
    pictures: Sequence[tuple[str, str]] = ()


def sections_of(run: RunSummary) -> list[Section]:
    """Return the parts of one run's page that have something to say."""
    panda = run.panda
    return [
        Section(
            "winner", "The winner" if panda is None else "The model", run.remarks, kind="winner"
        ),
        *examined(run),
        *(babysat(panda, run.metric) if panda else searched(run)),
        *failures(run),
        Section("trials", "Trials", kind="trials"),
        *carded(run),
        Section("manifest", "What it takes to repeat it", tables={"Manifest": manifest(run)}),
    ]


def examined(run: RunSummary) -> Iterator[Section]:
    """Yield what the winner's examination found."""
    charts, tables = winner_charts(run.details), winner_tables(run.details)
    if charts or tables:
        yield Section("examined", "How it does", charts=charts, tables=tables)
    if found := mistakes(run.examples):
        says = [found.says, NOT_FOR_ALL.format(run.name)]
        tables = {"What it gets most wrong": found.table} if found.table else {}
        title = "What it gets most wrong"
        yield Section("mistakes", title, says, tables=tables, pictures=found.pictures)


def searched(run: RunSummary) -> Iterator[Section]:
    """Yield the figures of a caviar."""
    charts = [*space_charts(run), *course_charts(run)]
    if charts:
        yield Section("search", "The search", charts=charts)


def babysat(panda: PandaSummary, metric: str) -> Iterator[Section]:
    """Yield a panda's figures, its days, the sitter's findings and its journal."""
    yield Section("course", "Its course", charts=list(panda_charts(panda, metric)))
    days = {
        f"Days of {trial}": _told(columns)
        for trial, columns in panda.days.items()
        if columns["day"]
    }
    if days:
        yield Section("days", "Days", tables=days)
    if panda.findings:
        done = sum(bool(each[-1]) for each in panda.findings)
        times = f"{len(panda.findings)} time{'s' * (len(panda.findings) > 1)}"
        says = [
            f"The sitter spoke {times}, and {done or 'none'} of its suggestions"
            f" {'was' if done == 1 else 'were'} carried out."
        ]
        head = ["trial", "day", "epoch", "rule", "what it suggests", "evidence", "done"]
        rows = [[*each[:5], _said(each[5]), each[6]] for each in panda.findings]
        yield Section(
            "sitter", "The sitter's findings", says, tables={"Findings": Table(head, rows)}
        )
    if panda.journal:
        head = ["trial", "time", "day", "epoch", "what"]
        yield Section("journal", "Journal", tables={"Journal": Table(head, panda.journal)})


def _told(columns: Mapping[str, Sequence[Any]]) -> Table:
    """Return columns as rows, without those that are empty."""
    told = {name: each for name, each in columns.items() if any(v is not None for v in each)}
    return Table(list(told), list(zip(*told.values(), strict=True)))


def _said(evidence: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {cell(value)}" for name, value in evidence.items())


def failures(run: RunSummary) -> Iterator[Section]:
    """Yield the trials that failed, with the first line of each error."""
    rows = [
        [t.trial, t.failure or t.status, t.error, t.error_file]
        for t in run.trials
        if t.status in ("failed", "diverged")
    ]
    if rows:
        says = [f"{len(rows)} of {len(run.trials)} trials failed or diverged."]
        head = ["trial", "what", "first line of the error", "all of it"]
        yield Section("failures", "Failures", says, tables={"Failures": Table(head, rows)})


def carded(run: RunSummary) -> Iterator[Section]:
    """Yield the winner's model card: its sentences, and what the other parts of the page have not."""
    parts = card_of(run) if run.winner else ()
    rows = [(part.title, each) for part in parts for each in (*part.says, *part.code)]
    if rows:
        says = [
            "For those who use the model. 'orchestrator card' writes it as Markdown, with its tables."
        ]
        yield Section(
            "card", "Model card", says, tables={"Model card": Table(["part", "what"], rows)}
        )


def manifest(run: RunSummary) -> Table:
    """Return the facts around a run, and its experiment, one key a row."""
    facts = dict(run.manifest)
    facts.pop("experiment", None)
    rows = [*flat(facts), *(("experiment." + key, value) for key, value in flat(run.experiment))]
    return Table(["key", "value"], rows)


def comparison_sections(runs: Sequence[RunSummary], found: Comparison) -> list[Section]:
    """Return the parts of a page about several runs."""
    names = list(dict.fromkeys(name for row in found.rows for name in row))
    told = [name for name in names if any(row.get(name) is not None for row in found.rows)]
    table = Table(told, [[row.get(name) for name in told] for row in found.rows])
    charts = comparison_charts(runs, found)
    parts = [
        Section("comparison", "The comparison", found.says, charts, {"Comparison": table}),
        Section("winner", "The winners", kind="winner"),
    ]
    if found.differences:
        head = ["key", *(run.name for run in runs)]
        rows = [[key, *values] for key, values in found.differences.items()]
        says = ["What differs in the runs' files, data, code and surroundings."]
        parts.append(
            Section("differences", "What differs", says, tables={"What differs": Table(head, rows)})
        )
    return parts
