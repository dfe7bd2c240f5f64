"""What a trial's training has to tell. Loads neither TensorFlow nor Keras."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Progress:
    """What happened since the last report. Filled while it happens, so that an error loses nothing before it.

    Amid a long epoch there may be nothing to tell; ``epoch`` is the last one that is over.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    branches: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    done: bool = False
    diverged: bool = False
    stopped: bool = False
