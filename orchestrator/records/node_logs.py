"""What Ray wrote on a node, kept in a run's folder: ``python -m orchestrator.records.node_logs LOGS RUN PART...``.

The batch script of Slurm calls it on each node before it removes Ray's files there. What a worker printed may hold
secrets, so every file is redacted; those of the node's environment and of the run's experiment are known.
"""

from __future__ import annotations

import sys
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.records.atomic_write import write_atomically
from orchestrator.records.folder import RunFolder
from orchestrator.redaction import conceal_those_in, redact

LARGEST = 20 * 2**20
"""Bytes beyond which a file is left out."""


def keep_node_logs(logs: Path, run: Path, parts: list[str]) -> None:
    """Copy the files in ``logs`` to ``logs/PART/...`` of the run, each secret in them as its ``${ENV:NAME}``."""
    folder = RunFolder.open(run.absolute())
    conceal_those_in([folder.experiment_file.read_text(encoding="utf-8")])
    kept = folder.logs.joinpath(*parts)
    for file in sorted(logs.iterdir()):
        if file.is_symlink() or not file.is_file() or not 0 < file.stat().st_size <= LARGEST:
            continue
        text = redact(file.read_bytes().decode("utf-8", "surrogateescape"))
        kept.mkdir(parents=True, exist_ok=True)
        write_atomically(kept / file.name, text.encode("utf-8", "surrogateescape"))


if __name__ == "__main__":
    try:
        keep_node_logs(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except (OrchestratorError, OSError) as error:
        sys.exit(f"Ray's logs of this node are not kept: {error}")
