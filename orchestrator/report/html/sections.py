"""The parts of a run's page, in their order: a heading, sentences, figures and tables each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.report.html.chart import Chart, Table
from orchestrator.report.html.course_charts import course_charts
from orchestrator.report.html.search_charts import space_charts
from orchestrator.report.run_summary import RunSummary


@dataclass(frozen=True)
class Section:
    """A part of the page; ``kind`` says which template draws it besides its sentences, figures and tables."""

    id: str
    title: str
    says: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    kind: str = ""


def sections_of(run: RunSummary) -> list[Section]:
    """Return the parts of one run's page that have something to say."""
    return [
        Section("winner", "The winner", run.remarks, kind="winner"),
        Section("search", "The search", charts=[*space_charts(run), *course_charts(run)]),
        Section("trials", "Trials", kind="trials"),
        *failures(run),
        Section("manifest", "What it takes to repeat it", tables={"Manifest": manifest(run)}),
    ]


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


def manifest(run: RunSummary) -> Table:
    """Return the facts around a run, and its experiment, one key a row."""
    facts = dict(run.manifest)
    facts.pop("experiment", None)
    rows = [*flat(facts), *(("experiment." + key, value) for key, value in flat(run.experiment))]
    return Table(["key", "value"], rows)


def flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a mapping holds, the keys of mappings in it joined by points; nothing for what is empty."""
    for key, each in value.items():
        name = f"{before}{key}"
        if isinstance(each, Mapping):
            yield from flat(each, f"{name}.")
        elif each not in (None, "", [], ()):
            yield name, ", ".join(map(str, each)) if isinstance(each, list | tuple) else each
