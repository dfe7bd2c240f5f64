from __future__ import annotations

import pytest

from orchestrator.config import SitterOptions
from orchestrator.sitter import DayRecord
from tests.sitter.watching import Watching


@pytest.fixture
def sitter():
    def make(mode="act", metric="val_accuracy", rows=1000, budget_epochs=None, **options):
        sign = "min" if metric.endswith("loss") else "max"
        settings = SitterOptions.model_validate({"mode": mode, **options})
        return Watching(settings, metric, sign, rows, budget_epochs)

    return make


@pytest.fixture
def day():
    def make(number, accuracy=None, loss=None, val_loss=None, **hyperparameters):
        metrics = {"val_accuracy": accuracy, "loss": loss, "val_loss": val_loss}
        given = {name: value for name, value in metrics.items() if value is not None}
        return DayRecord(number, 3 * number, given, {"learning_rate": 0.1, **hyperparameters})

    return make
