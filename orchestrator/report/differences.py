"""What differs between runs: their files, data, versions and results. Records in, plain values out; text for people.

Scores are compared trial by trial where two runs trained the same hyperparameters from the same seed: what a seed does
to both cancels in their difference, whose interval is ``search/race.py``'s.
"""

from __future__ import annotations

import difflib
import hashlib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.run import effective_manifest, sources_of
from orchestrator.redaction import redact, redacted
from orchestrator.report.formatting import cell, number, printable
from orchestrator.search.race import Estimate, differences
from orchestrator.search.selection_bias import corrected_score

OWN_TO_EACH = ("command", "run_folder", "experiment", "folder")
"""What of a manifest differs between any two runs, or is said by the experiment."""
CODE = ("trial", "model", "callbacks", "searcher", "scheduler")
AROUND = ("versions", "environment", "machine", "git", "keras")
OF_DATA = (
    "source",
    "kind",
    "fingerprint",
    "rows",
    "division",
    "scaling",
    "input_shape",
    "streamed",
)
SHOWN = 12
"""How many lines of a changed file, and names of a list, are shown to people; JSON has all."""
Pair = tuple[Any, Any]


@dataclass(frozen=True)
class Paired:
    """Trials of the same seed and hyperparameters in two runs: the second's best value less the first's.

    Of each the best of the epochs that both trained. ``better``: how many are better in the second run.
    """

    metric: str
    pairs: int
    better: int
    worse: int
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Differences:
    """What differs between two runs, called ``runs``; each a {key: (first, second)}, None where one has no such key.

    ``sources`` are unified diffs of files of code that both lie there as they were. ``unpaired`` says why no trials
    could be paired.
    """

    runs: tuple[str, str]
    experiment: Mapping[str, Pair] = field(default_factory=dict)
    code: Mapping[str, Pair] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Pair] = field(default_factory=dict)
    versions: Mapping[str, Pair] = field(default_factory=dict)
    results: Mapping[str, Pair] = field(default_factory=dict)
    paired: Paired | None = None
    unpaired: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON, without secrets."""
        return dict(redacted(asdict(self)))


def given(records: RunRecords) -> dict[str, Any]:
    """Return what a run was made of, flat: its experiment, data, code, versions, machine."""
    manifest = {key: value for key, value in records.manifest.items() if key not in OWN_TO_EACH}
    return {**experiment_of(records), **{f"manifest.{k}": v for k, v in flat(manifest)}}


def experiment_of(records: RunRecords) -> dict[str, Any]:
    """Return a run's experiment, flat, without what says where it is."""
    own = {k: v for k, v in records.experiment.items() if k not in ("name", "storage_path")}
    return dict(flat(own))


def flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a mapping holds, the keys of mappings in it joined by points; nothing for what is empty."""
    for key, each in value.items():
        name = f"{before}{key}"
        if isinstance(each, Mapping):
            yield from flat(each, f"{name}.")
        elif each not in (None, "", [], ()):
            yield name, ", ".join(map(str, each)) if isinstance(each, list | tuple) else each


def unlike(values: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return {key: one value a mapping} of what is not the same in all of them."""
    keys = dict.fromkeys(key for each in values for key in each)
    found = {key: tuple(each.get(key) for each in values) for key in keys}
    return {key: each for key, each in found.items() if any(value != each[0] for value in each)}


def differences_of(first: RunRecords, second: RunRecords) -> Differences:
    """Return what differs between two runs."""
    both = (first, second)
    facts = [effective_manifest(each) for each in both]
    paired, why = _paired(first, second)
    return Differences(
        (first.name, second.name),
        _pairs([experiment_of(each) for each in both]),
        _pairs([_code(each) for each in facts]),
        _sources(first, second),
        _pairs([_data(each) for each in facts]),
        _pairs([dict(flat({k: each.get(k) or {} for k in AROUND})) for each in facts]),
        _pairs([_results(each) for each in both]),
        paired,
        why,
    )


def _pairs(values: Sequence[Mapping[str, Any]]) -> dict[str, Pair]:
    return {key: (one[0], one[1]) for key, one in unlike(values).items()}


def _code(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the files of code behind a run, by part and name, as the beginnings of their SHA-256."""
    found: dict[str, Any] = {}
    for part in CODE:
        facts = manifest.get(part)
        if not isinstance(facts, Mapping) or not facts.get("reference"):
            continue
        found[part] = facts["reference"]
        for name, digest in (facts.get("files") or {}).items():
            found[f"{part}: {name}"] = str(digest)[:12]
    return found


def _sources(first: RunRecords, second: RunRecords) -> dict[str, str]:
    """Return unified diffs of files that differ, as far as both still lie where they were, unchanged."""
    texts = [_texts(records) for records in (first, second)]
    found: dict[str, str] = {}
    for name in texts[0].keys() & texts[1].keys():
        old, new = (each[name] for each in texts)
        if old != new:
            labels = (f"{first.name}/{name}", f"{second.name}/{name}")
            lines = difflib.unified_diff(old, new, *labels, lineterm="")
            found[name] = "\n".join(lines)
    return dict(sorted(found.items()))


def _texts(records: RunRecords) -> dict[str, list[str]]:
    """Return the lines of a run's own files of code, of those whose content is the one that it was run with."""
    manifest, found = effective_manifest(records), {}
    for part in CODE:
        facts = manifest.get(part)
        if not isinstance(facts, Mapping) or not facts.get("reference"):
            continue
        place = Path(str(facts["reference"]).partition(":")[0])
        for name, digest in (facts.get("files") or {}).items():
            content = _content(sources_of(records) / place.parent / name)
            if content is not None and hashlib.sha256(content).hexdigest() == digest:
                found[name] = content.decode("utf-8", "replace").splitlines()
    return found


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a run's data, flat: its columns by name."""
    data = manifest.get("data") or {}
    found = dict(flat({key: data.get(key) for key in OF_DATA}))
    classes = [str(name) for name in data.get("classes") or ()]
    if classes:
        found["classes"] = ", ".join(classes)
    table = data.get("table") or {}
    if table.get("label"):
        found["label"] = table["label"]
    for column in table.get("columns") or ():
        found[f"column {column.get('name')}"] = _column(column)
    return found


def _column(column: Mapping[str, Any]) -> str:
    categories = column.get("categories") or ()
    what = f"{column.get('kind')}" + (
        f" of {', '.join(map(str, categories))}" if categories else ""
    )
    fill = column.get("fill")
    return what if fill is None else f"{what}, gaps as {cell(fill)}"


def _results(records: RunRecords) -> dict[str, Any]:
    leader, corrected = records.leader, corrected_score(records)
    best = records.of(leader.trial).best if leader else None
    winner = records.winner or {}
    plain: dict[str, Any] = {
        "status": records.status,
        "trials": len(records.trials),
        "epochs": len(records.epochs),
        "seconds": round(records.seconds, 1),
        f"best {records.metric}": best.value if best else None,
        f"corrected {records.metric}": corrected.value if corrected else None,
        **{f"test {name}": value for name, value in (winner.get("test") or {}).items()},
        "winner": leader.trial if leader else None,
        "hyperparameters": records.of(leader.trial).current_hyperparameters if leader else {},
    }
    return dict(flat(plain))


def _paired(first: RunRecords, second: RunRecords) -> tuple[Paired | None, str | None]:
    """Return how trials that both runs trained from the same seed compare, or why none do."""
    if first.metric != second.metric:
        return None, f"they were judged by {first.metric} and {second.metric}"
    others = {_key(trial): trial for trial in second.all_trials}
    both = [(trial, others[_key(trial)]) for trial in first.all_trials if _key(trial) in others]
    if not both:
        return None, "no trial has the same seed and hyperparameters in both"
    values = [_values(first, mine, second, theirs) for mine, theirs in both]
    known = [(one, other) for one, other in values if one is not None and other is not None]
    if not known:
        return None, f"no trial of both has a finite {first.metric}"
    found = differences([one for one, _ in known], {"": [other for _, other in known]})
    estimate: Estimate = found[""]
    sign = 1 if first.mode == "max" else -1
    gains = [sign * (other - one) for one, other in known]
    better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
    bounds = (estimate.low, estimate.high)
    return Paired(first.metric, len(known), better, worse, estimate.mean, *bounds), None


def _key(trial: TrialRecord) -> tuple[Any, ...]:
    return trial.seed, repr(sorted(trial.hyperparameters.items()))


def _values(
    first: RunRecords, mine: TrialRecord, second: RunRecords, theirs: TrialRecord
) -> tuple[float | None, float | None]:
    """Return the best value of each up to the last epoch that both trained."""
    rows = [first.of(mine.trial).own_epochs, second.of(theirs.trial).own_epochs]
    last = min((int(each[-1]["epoch"]) if each else 0) for each in rows)
    choose = max if first.mode == "max" else min
    values = (
        [row["metrics"].get(first.metric) for row in each if row["epoch"] <= last] for each in rows
    )
    one, other = (choose((v for v in each if v is not None), default=None) for each in values)
    return one, other


def difference_lines(found: Differences, width: int = 80) -> list[str]:
    """Return it for people: what is the same in a line, what differs a key at a time."""
    lines = textwrap.wrap(printable(f"{found.runs[0]} -> {found.runs[1]}"), width)
    files = [*_listed(found.experiment, width), *_listed(found.code, width)]
    for name, diff in found.sources.items():
        files += _excerpt(name, diff, width)
    parts = {
        "Files": files,
        "Data": _listed(found.data, width),
        "Versions and machine": _listed(found.versions, width),
        "Results": [*_listed(found.results, width), *_wrapped(_pairing(found), width)],
    }
    for title, each in parts.items():
        lines += ["", title, *(each or ["  the same in both"])]
    return lines


def _listed(pairs: Mapping[str, Pair], width: int) -> list[str]:
    return [line for key, pair in pairs.items() for line in _wrapped(_changed(key, *pair), width)]


def _changed(key: str, old: Any, new: Any) -> str:
    shown = [_shown(each) for each in (old, new)]
    if key in ("classes", "callbacks", "metrics") and all(isinstance(v, str) for v in (old, new)):
        before, after = (str(each).split(", ") for each in (old, new))
        shown = [
            _some([n for n in before if n not in after]),
            _some([n for n in after if n not in before]),
        ]
        return f"{key}: only the first has {shown[0]}; only the second has {shown[1]}"
    return f"{key}: {shown[0]} -> {shown[1]}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more


def _shown(value: Any) -> str:
    """Return a value in a line; a fingerprint by its beginning."""
    text = "nothing" if value is None else cell(value)
    is_digest = len(text) == 64 and all(sign in "0123456789abcdef" for sign in text)
    return text[:12] if is_digest else text


def _excerpt(name: str, diff: str, width: int) -> list[str]:
    changed = [line for line in diff.splitlines()[2:] if line.startswith(("+", "-"))]
    shown = [piece for line in changed[:SHOWN] for piece in _wrapped(f"  {line}", width)]
    more = len(changed) - SHOWN
    return [
        f"  {name}, changed lines:",
        *shown,
        *([f"    … {more} more (--json has all)"] if more > 0 else []),
    ]


def _pairing(found: Differences) -> str:
    paired = found.paired
    if paired is None:
        return f"paired: not possible, since {found.unpaired}"
    count = f"{paired.pairs} trial{'s' * (paired.pairs != 1)} of the same seed and hyperparameters"
    same = paired.pairs - paired.better - paired.worse
    if same == paired.pairs:
        return f"paired: {count}, all with the same {paired.metric}"
    low, high = paired.low, paired.high
    span = "" if low is None or high is None else f" ({number(low)} to {number(high)}, 95 %)"
    rows = "; each is judged on its own run's rows" if "fingerprint" in found.data else ""
    return (
        f"paired: {count}: {paired.metric} {paired.mean:+.4g}{span} in the second; better in {paired.better}, worse in"
        f" {paired.worse}, the same in {same}{rows}"
    )


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        redact(printable(text)), width, initial_indent="  ", subsequent_indent="      "
    )
