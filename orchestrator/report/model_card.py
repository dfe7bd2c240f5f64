"""A winner's model card: what it is, learned from, is worth and is not good at, and how it is used.

After Mitchell et al., "Model Cards for Model Reporting", 2019; what only people know (what it is meant for, under which
licence) is left for them to say. Of a run whose trials keep their models themselves it tells what the records have.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from orchestrator.errors import RecordError, explain
from orchestrator.records import RunRecords, options_of
from orchestrator.redaction import redact
from orchestrator.report.formatting import cell, clock, minute, number, printable
from orchestrator.report.run_summary import RunSummary, summarize

NOT_GIVEN = "not given"
NORMAL_95 = 1.959964
SHOWN = 20
_OF_A_CLASS = ("class", "precision", "recall", "recall_from", "recall_to", "f1", "support")
_SURROUNDINGS = ("model", "trial", "callbacks", "searcher", "scheduler")


@dataclass(frozen=True)
class CardPart:
    """A part of a card: sentences, a table as a head and rows, and lines to type."""

    title: str
    says: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[Sequence[Any], ...] = ()
    code: tuple[str, ...] = ()


def card_of(run: RunSummary, licence: str | None = None) -> tuple[CardPart, ...]:
    """Return the parts of a run's card that have something to say; none where no trial has a finite value."""
    if run.best is None:
        return ()
    given = licence or run.experiment.get("licence") or NOT_GIVEN
    parts = [
        CardPart("Model", tuple(_model(run, str(given)))),
        CardPart("Data", tuple(_data(run))),
        _search(run),
        _scores(run),
        *_examined(run.details),
        CardPart("Limits", tuple(_limits(run))),
        CardPart("Use", tuple(_use(run)), code=tuple(_commands(run))),
        _repeated(run),
    ]
    return tuple(part for part in parts if part.says or part.rows or part.code)


def model_card(records: RunRecords, licence: str | None = None) -> str:
    """Return a run's card as Markdown, in which what users typed is text.

    ``licence``: in place of the experiment's. Raises RecordError where there is no winner to write of.
    """
    from orchestrator.report.render import in_markdown, to_markdown
    from orchestrator.report.tables import by_column, to_frame

    run = summarize(records)
    if run.best is None:
        expected = f"expected a run with a trial whose {run.metric} is finite"
        raise RecordError(
            explain(f"card of {run.name}", expected, f"one that is {run.status}, without")
        )
    pieces = [f"# {in_markdown(run.name)}"]
    for part in card_of(run, licence):
        pieces.append(f"## {part.title}")
        pieces += [f"- {in_markdown(printable(each))}" for each in part.says]
        if part.rows:
            rows = [dict(zip(part.head, row, strict=True)) for row in part.rows]
            pieces.append(to_markdown(to_frame(by_column(rows))).rstrip())
        if part.code:
            lines = "\n".join(map(printable, part.code))
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", lines)), default=0))
            pieces.append(f"{fence}console\n{lines}\n{fence}")
    return redact(_spaced(pieces))


def _spaced(pieces: Sequence[str]) -> str:
    """Return blocks with an empty line between them, but between the points of a list."""
    text = pieces[0]
    for before, piece in pairwise(pieces):
        together = before.startswith("- ") and piece.startswith("- ")
        text += ("\n" if together else "\n\n") + piece
    return f"{text}\n"


def _model(run: RunSummary, licence: str) -> Iterator[str]:
    best = run.best
    if best is None:
        return
    begun = f", begun {minute(run.started)} (UTC)" if run.started else ""
    yield f"{run.trained}: trial {best.trial} of the run {run.name}{begun}."
    yield from (f"{said[:1].upper()}{said[1:]}." for said in _task_said(run))
    chosen = ", ".join(f"{name} {cell(value) or 'none'}" for name, value in run.chosen.items())
    if chosen:
        yield f"Hyperparameters: {chosen}."
    if run.winner.get("not_saved"):
        yield f"Kept as weights alone: {run.winner['not_saved']}"
    yield f"Licence: {licence}."
    yield "Meant for: not given. Whoever publishes this card says who may use the model, and for what."


def _task_said(run: RunSummary) -> Sequence[str]:
    said = (run.manifest.get("task") or {}).get("said") or ()
    return [str(each).rstrip(".") for each in said if not str(each).startswith("baseline")]


def _data(run: RunSummary) -> Iterator[str]:
    data = run.manifest.get("data") or {}
    if not data:
        yield "None that the run knows: its trials read their data themselves."
        return
    yield f"Source: {data.get('source')} ({data.get('kind')})."
    if data.get("fingerprint"):
        yield f"Fingerprint (SHA-256 of its rows): {data['fingerprint']}."
    rows = {part: count for part, count in (data.get("rows") or {}).items() if count is not None}
    if rows:
        yield f"Rows: {', '.join(f'{count:,} {part}' for part, count in rows.items())}."
    classes = [str(name) for name in data.get("classes") or ()]
    if classes:
        yield f"Classes: {_some(classes)}."
    table = data.get("table") or {}
    columns = [f"{one.get('name')} ({one.get('kind')})" for one in table.get("columns") or ()]
    if columns:
        yield f"Columns: {_some(columns)}; the label is {table.get('label')}."
    elif data.get("input_shape") is not None:
        yield f"A row has the shape {data['input_shape']}."
    scaling = (data.get("scaling") or {}).get("how", "none")
    yield (
        f"Scaling: {scaling}, fitted on the training rows and part of the model."
        if (scaling != "none")
        else "Scaling: none."
    )
    yield from (f"{note[:1].upper()}{note[1:]}." for note in table.get("notes") or ())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def _search(run: RunSummary) -> CardPart:
    experiment = run.experiment
    endings = ", ".join(f"{count} {status}" for status, count in run.endings.items())
    says = [
        f"Strategy {run.strategy}: {len(run.trials)} trials ({endings}), {run.epochs_trained} epochs in"
        f" {clock(run.seconds)}; at most {run.epochs} epochs a trial, seed {experiment.get('seed')}."
    ]
    caviar = options_of(experiment, "caviar")
    if caviar is not None:
        searcher, scheduler = (_named(caviar.get(key)) for key in ("searcher", "scheduler"))
        says.append(f"Searcher {searcher}, scheduler {scheduler}.")
    says.append(f"Chosen by {run.metric} ({run.mode}).")
    constraints = experiment.get("constraints") or ()
    if constraints:
        says.append(f"Constraints: {'; '.join(map(str, constraints))}.")
    space = experiment.get("search_space") or {}
    if not isinstance(space, Mapping):
        return CardPart("Search", (*says, f"Search space: {space}."))
    rows = tuple((name, str(domain)) for name, domain in space.items())
    return CardPart("Search", tuple(says), ("hyperparameter", "searched"), rows)


def _named(value: Any) -> str:
    """Return what is meant by a name, by {name: options}, or by a mapping of options."""
    if isinstance(value, Mapping):
        return str(value.get("name") or next(iter(value), "none"))
    return str(value)


def _scores(run: RunSummary) -> CardPart:
    """Return the winner's scores with 95 % intervals; test rows, where there are any, judged once and chose nothing."""
    name = run.metric.removeprefix("val_")
    rows: list[Sequence[Any]] = []
    best, corrected = run.best, run.corrected
    if best is not None:
        rows.append((run.metric, "validation, as picked", best.value, None, None))
    if corrected is not None:
        rows.append(
            (run.metric, "validation, corrected", corrected.value, corrected.low, corrected.high)
        )
    counts = (run.manifest.get("data") or {}).get("rows") or {}
    for metric, value in (run.winner.get("test") or {}).items():
        noise = (run.winner.get("noise") or {}).get(run.metric) if metric == name else None
        low, high = _interval(metric, value, counts, noise)
        rows.append((metric, "test", value, low, high))
    says = []
    if corrected is not None:
        says.append(
            "The validation rows chose the trial and its epoch; the corrected score is without that luck."
        )
    baseline = (run.manifest.get("task") or {}).get("baseline") or {}
    says += [
        f"A guess that looks at no feature has {key} {number(value)}."
        for key, value in baseline.items()
    ]
    return CardPart("Scores", tuple(says), ("metric", "rows", "value", "from", "to"), tuple(rows))


def _interval(
    metric: str, value: Any, rows: Mapping[str, Any], noise: float | None
) -> tuple[float | None, float | None]:
    """Return a test score's 95 % interval: Wilson's (1927) of an accuracy, else by the noise on validation rows.

    Noise falls with the root of the rows: there it was that of ``validation`` ones.
    """
    tested, validated = rows.get("test") or 0, rows.get("validation") or 0
    if not isinstance(value, int | float) or not math.isfinite(value) or not tested:
        return None, None
    if metric == "accuracy" and 0 <= value <= 1:
        z2 = NORMAL_95**2 / tested
        middle = (value + z2 / 2) / (1 + z2)
        half = NORMAL_95 * math.sqrt(value * (1 - value) / tested + z2 / (4 * tested)) / (1 + z2)
        return middle - half, middle + half
    if noise is None or not validated:
        return None, None
    half = NORMAL_95 * noise * math.sqrt(validated / tested)
    return value - half, value + half


def _examined(details: Mapping[str, Any]) -> list[CardPart]:
    """Return what the winner's examination found; nothing where its file was edited to something else."""
    try:
        return [*_classes(details), CardPart("Calibration", tuple(_calibration(details)))]
    except (AttributeError, LookupError, TypeError, ValueError):
        return []


def _classes(details: Mapping[str, Any]) -> Iterator[CardPart]:
    for part in ("test", "validation"):
        found = (details.get("per_class") or {}).get(part) or {}
        classes = [one for one in found.get("classes") or () if isinstance(one, Mapping)]
        if classes:
            rows = tuple([one.get(name) for name in _OF_A_CLASS] for one in classes)
            says = (f"On the {part} rows; recall with its 95 % interval.",)
            yield CardPart("Results by class", says, _OF_A_CLASS, rows)
            return


def _calibration(details: Mapping[str, Any]) -> Iterator[str]:
    whole = details.get("calibration") or {}
    for part in ("test", "validation"):
        found = whole.get(part)
        if not isinstance(found, Mapping) or not isinstance(found.get("ece"), int | float):
            continue
        yield (
            f"Expected calibration error on the {part} rows {number(found['ece'])}; by chance alone up to"
            f" {number(found['by_chance']['at_most'])}."
        )
        after = found.get("calibrated")
        if after:
            yield (
                f"With temperature {number(whole['temperature'])} (predict and export --calibrated):"
                f" {number(after['ece'])}."
            )
        return


def _limits(run: RunSummary) -> Iterator[str]:
    """Yield where the winner fails, what its run's diagnosis found, and what it cannot know."""
    yield from (
        f"{each[:1].upper()}{each[1:]}." for each in run.remarks if each.startswith("fails")
    )
    yield from (f"{finding.says[:1].upper()}{finding.says[1:]}." for finding in run.findings)
    table = (run.manifest.get("data") or {}).get("table") or {}
    columns = table.get("columns") or ()
    refusing = [str(one.get("name")) for one in columns if one.get("fill") is None]
    if columns and refusing:
        yield f"Gaps are refused in {_some(refusing)}, since training had none there."
    if any(one.get("kind") == "text" for one in columns):
        yield "A text that training had not counts as none of the categories."
    if (run.manifest.get("data") or {}).get("classes"):
        yield "It answers with one of its classes for any row, also for one that belongs to none."


def _use(run: RunSummary) -> Iterator[str]:
    if run.experiment.get("trial"):
        yield (
            "Its trials keep their models themselves: what was saved in the best epoch is in best/checkpoint of the"
            " run's folder, and is loaded by the code that wrote it."
        )
    elif run.winner.get("not_saved"):
        yield "run.load_model() builds the model around its weights, with the builder's own file."
    elif run.winner:
        yield "It takes raw rows: filling, encoding and scaling are layers of it."
    else:
        yield "It was not examined, so that no model was saved."


def _commands(run: RunSummary) -> Iterator[str]:
    if run.experiment.get("trial") or not run.winner:
        return
    name = shlex.quote(run.name)
    yield f"orchestrator predict {name} new.csv"
    yield f"orchestrator export {name} --to model.keras"
    yield f"python -c \"import orchestrator; print(orchestrator.open_run('runs/{run.name}').load_model())\""


def _repeated(run: RunSummary) -> CardPart:
    rows: list[tuple[str, Any]] = [*(run.manifest.get("versions") or {}).items()]
    for key in _SURROUNDINGS:
        found = run.manifest.get(key) or {}
        if isinstance(found, Mapping) and found.get("fingerprint"):
            rows.append((f"{key} {found.get('reference')}", found["fingerprint"]))
    git = run.manifest.get("git") or {}
    if git:
        rows.append(
            ("git commit", f"{git.get('commit')}{' with changes' if git.get('dirty') else ''}")
        )
    return CardPart("To repeat it", (), ("what", "version"), tuple(rows))
