"""The experiment that is shot at: small, and long enough for its trials to be caught in flight."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

TRIALS = 8
EPOCHS = 40
SPACE = {
    "learning_rate": "loguniform(0.01, 0.3)",
    "momentum": "one_minus_loguniform(0.9, 0.99)",
    "units": "choice([128, 192])",
    "hidden_layers": 3,
    "batch_size": 8,
    "dropout": 0.2,
}
START = {
    "learning_rate": 0.02, "momentum": 0.5, "units": 160, "hidden_layers": 3, "batch_size": 4,
    "batch_norm": False, "dropout": 0.2,
}  # fmt: skip
DAYS = 30
SCHEDULE = [{"epoch": 12, "set": {"learning_rate": 0.01}}]
PAUSE_DAY = 6
REQUESTS: tuple[tuple[str, ...], ...] = (
    ("pause", "--at-day", str(PAUSE_DAY)),
    ("set", "learning_rate=0.005", "--at-day", "14", "--why", "asked while it trained"),
    ("set", "dropout=0.3", "--at-day", "24"),
    ("note", "seen"),
)
"""What is asked of the panda before its first epoch: it waits for the rest on day 6."""
LATER: tuple[tuple[str, ...], ...] = (
    ("rollback", "--to-day", "2", "--at-day", "11"),
    ("continue",),
)


@dataclass(frozen=True)
class Kind:
    """One sort of run: how its file differs, and whether its table is a function of its seed."""

    name: str
    keys: dict[str, Any]
    deterministic: bool


def _caviar(scheduler: Any) -> dict[str, Any]:
    return {
        "search_space": SPACE,
        "epochs": EPOCHS,
        "caviar": {"num_samples": TRIALS, "scheduler": scheduler},
    }


KINDS = {
    kind.name: kind
    for kind in (
        Kind("none", _caviar("none"), deterministic=True),
        Kind("asha", _caviar({"asha": {"promote": False, "grace_period": 4}}), deterministic=False),
        Kind(
            "panda",
            {
                "strategy": "panda",
                "panda": {"start": START, "day": "2 epochs", "days": DAYS, "sitter": "advise",
                          "schedule": SCHEDULE},
            },
            deterministic=True,
        ),
    )
}  # fmt: skip


def write_experiment(
    kind: Kind, name: str, folder: Path, storage: Path, epochs: int = EPOCHS
) -> Path:
    """Write the file of a run called ``name`` and return it; a caviar's trials train so many ``epochs``."""
    document = {"name": name, "model": "mlp", "data": "digits", "seed": 7, **kind.keys,
                "storage_path": str(storage)}  # fmt: skip
    if "epochs" in document:
        document["epochs"] = epochs
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return file
