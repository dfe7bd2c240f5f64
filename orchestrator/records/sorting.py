"""One file of records, sorted: the whole ones, and what is wrong with every other line. Nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import explain
from orchestrator.records.events import Event, NotARecord, TrialEnd, TrialStarted, parse
from orchestrator.records.line import from_line
from orchestrator.records.lines import damage_of, split_lines


@dataclass
class Sorting:
    """A file's raw lines, the records on the whole ones, and what is wrong with the others, by number.

    ``torn`` is the number of a last line that an interruption cut short, which is one of those others; else None.
    """

    file: Path
    raw: list[bytes] = field(default_factory=list)
    whole: dict[int, Event] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    torn: int | None = None

    @classmethod
    def of(cls, file: Path) -> Sorting:
        """Return a file's lines, sorted; an absent file has none."""
        sorting = cls(file)
        lines, torn = split_lines(file.read_bytes()) if file.exists() else ([], b"")
        for number, line in enumerate(lines, start=1):
            record = from_line(line)
            if record is None:
                sorting.faults[number] = damage_of(line)
                continue
            try:
                sorting.whole[number] = parse(file.name, record)
            except NotARecord as error:
                sorting.faults[number] = str(error)
        sorting.raw = lines
        if torn:
            sorting.raw = [*lines, torn.rstrip(b"\n")]
            sorting.torn = len(sorting.raw)
            sorting.faults[sorting.torn] = damage_of(sorting.raw[-1])
        if file.name == "trials.jsonl":
            sorting._set_endings_alone_apart()
        return sorting

    def _set_endings_alone_apart(self) -> None:
        """Have the endings of trials whose start is gone follow it."""
        started = set()
        for number, line in list(self.whole.items()):
            if isinstance(line, TrialStarted):
                started.add(line.trial)
            elif isinstance(line, TrialEnd) and line.trial not in started:
                expected = "the end of a trial that was started before"
                self.faults[number] = explain("trial", expected, line.trial)
                del self.whole[number]
        self.faults = dict(sorted(self.faults.items()))
