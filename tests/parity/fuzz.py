"""The differential fuzzer: random models by plain Keras and by ours, and what differs made as small as it gets."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.parity.exam import examine
from tests.parity.grammar import Sample, data_source, net_source, plainer

SHRINKS = 40
"""How many smaller samples are tried for one that differs."""


@dataclass(frozen=True)
class Finding:
    """A sample in which ours differs from plain Keras, and how; ``number`` is the one it was drawn as."""

    number: int
    sample: Sample
    differences: dict[str, str]

    def __str__(self) -> str:
        ways = "\n".join(f"# {way}: {said}" for way, said in self.differences.items())
        files = f"# net.py\n{net_source(self.sample)}\n# data.py\n{data_source(self.sample)}"
        return f"number {self.number}: {self.sample!r}\n{ways}\n{files}"


def differences(sample: Sample) -> dict[str, str] | None:
    """Return the ways in which ours differs; None where plain Keras itself refuses the sample."""
    with tempfile.TemporaryDirectory() as place:
        try:
            return examine(sample.case, Path(place))
        except Exception:  # noqa: BLE001 (what Keras refuses says nothing of ours)
            return None


def shrunk(finding: Finding, until: float) -> Finding:
    """Return a sample as plain as possible in which the first way still differs in the same manner."""
    kind, tried = _kind(finding.differences), 0
    progress = True
    while progress:
        progress = False
        for smaller in plainer(finding.sample):
            if tried >= SHRINKS or time.monotonic() > until:
                return finding
            tried += 1
            found = differences(smaller)
            if found and _kind(found) == kind:
                finding = Finding(finding.number, smaller, found)
                progress = True
                break
    return finding


def _kind(found: dict[str, str]) -> tuple[str, str]:
    """Return the first way, and whether it was an error, other names or other numbers."""
    way, said = next(iter(found.items()))
    return way, said.split(":")[0] if "Error" in said.split(":")[0] else said.split()[0]


def search(
    samples: Iterable[tuple[int, Sample]], until: float, shrinks: bool
) -> Iterator[tuple[int, Finding | None]]:
    """Yield each sample's number and what was found, nothing where ours is equal; Keras's refusals are left out."""
    for number, sample in samples:
        if time.monotonic() > until:
            return
        found = differences(sample)
        if found is None:
            continue
        finding = Finding(number, sample, found) if found else None
        yield number, shrunk(finding, until) if finding and shrinks else finding
