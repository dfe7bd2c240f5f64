"""Submissions to KubeRay, made without an experiment's file."""

from __future__ import annotations

from typing import Any

from orchestrator.config.targets import KubeRayOptions
from orchestrator.targets import SentFile, Submission


def to_kuberay(
    options: dict[str, Any], run: str = "digits", files: tuple[SentFile, ...] = ()
) -> Submission:
    read = KubeRayOptions.model_validate(options)
    document = "name: digits\nmodel: mlp\n"
    return Submission(run, document, files, read, read.storage or "", "/somewhere/runs")
