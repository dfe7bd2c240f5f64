"""What speaks for and against a run's old model today: the data then and now, versions, code, hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.experiment.prepared import Prepared
from orchestrator.records import RunRecords


@dataclass(frozen=True)
class Surroundings:
    """A run and what is around it today."""

    records: RunRecords
    prepared: Prepared
    source: str | None

    @classmethod
    def of(cls, records: RunRecords, prepared: Prepared, source: str | None) -> Surroundings:
        return cls(records, prepared, source)


def same_data(records: RunRecords, prepared: Prepared) -> None:
    """Refuse data of another form."""


def evidence(there: Surroundings, retrained: Mapping[str, Any], incumbent: Path) -> dict[str, Any]:
    """Return the rest of the record."""
    return {}
