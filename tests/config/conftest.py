from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import load_experiment


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write_and_load(text, *overrides):
        Path("digits.yaml").write_text(text, encoding="utf-8")
        return load_experiment("digits.yaml", overrides)

    return write_and_load
