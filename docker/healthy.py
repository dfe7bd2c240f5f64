#!/opt/venv/bin/python
"""The image's health check: every run that this container drives still beats.

A driver beats in ``driver.json`` of its run's folder until it has ended. Before the first beat, and in a container
that drives no run, there is nothing to complain of.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

RUNS = Path(os.environ.get("ORCHESTRATOR_RUNS", "/runs"))
STALE_SECONDS = 60


def silent_runs(runs: Path, host: str) -> list[str]:
    """Return the runs driven from this host whose driver has not beaten for a minute."""
    silent = []
    for beat in runs.glob("*/driver.json"):
        try:
            driver = json.loads(beat.read_text(encoding="utf-8"))
            age = time.time() - beat.stat().st_mtime
        except (OSError, ValueError):  # ended, or being written, while we looked
            continue
        lives = driver.get("host") == host and driver.get("state") != "ended"
        if lives and age > STALE_SECONDS:
            silent.append(f"{beat.parent.name}: no beat for {age:.0f} s")
    return silent


if __name__ == "__main__":
    found = silent_runs(RUNS, os.uname().nodename)
    print("; ".join(found) or "no run is silent")
    sys.exit(bool(found))
