"""One rule for what is a metric, whatever a trial is: a function, one in another Python, a program, an objective."""

from __future__ import annotations

import math
import sys

import pytest

from orchestrator.experiment import run

VALUES = """
import numpy as np

VALUES = {
    "a number": 2, "NumPy's number": np.float32(2.0), "an array of one": np.array([2.0]), "nan": float("nan"),
    "inf": float("inf"), "-inf": -float("inf"), "a boolean": True, "NumPy's boolean": np.bool_(True), "a text": "0.5",
    "an array of a text": np.array("0.5"), "None": None, "two numbers": np.array([1.0, 2.0]),
    "too many digits": 10**400, "a complex number": 1j,
}
"""
NUMBERS = {
    "a number": 2.0, "NumPy's number": 2.0, "an array of one": 2.0, "nan": math.nan, "inf": math.inf, "-inf": -math.inf,
}  # fmt: skip
FILES = {
    "function.py": VALUES + """
def train(hp, report):
    report(1, score=1.0)
    report(2, score=VALUES[hp["what"]]) if hp["what"] in VALUES else report(2, other=1.0)
""",
    "objective.py": VALUES + """
def objective(trial):
    what = trial.suggest_categorical("what", [*VALUES, "absent"])
    trial.report(1.0, 1)
    trial.report(VALUES[what], 2) if what in VALUES else None
    return VALUES.get(what)
""",
    "returns.py": VALUES + """
def objective(trial):
    what = trial.suggest_categorical("what", [*VALUES, "absent"])
    trial.report(1.0, 1)
    return VALUES.get(what)
""",
    "program.py": """
import json, sys
VALUES = {
    "a number": 2, "NumPy's number": 2.0, "an array of one": 2.0, "nan": float("nan"), "inf": float("inf"),
    "-inf": -float("inf"), "a boolean": True, "NumPy's boolean": True, "a text": "0.5", "an array of a text": "0.5",
    "None": "none", "two numbers": [1.0, 2.0], "too many digits": 10**400, "a complex number": "1j",
}
print(json.dumps({"epoch": 1, "score": 1.0}))
what = sys.argv[1]
print(json.dumps({"epoch": 2, "score": VALUES[what]} if what in VALUES else {"epoch": 2, "other": 1.0}))
""",
}  # fmt: skip
KINDS = {
    "function": "./function.py:train",
    "function in another Python": {"function": "./function.py:train", "python": sys.executable},
    "command": {"command": f"{sys.executable} program.py {{what}}"},
    "objective that reports": {"optuna": "./objective.py:objective"},
    "objective that returns": {"optuna": "./returns.py:objective"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_a_number_is_a_metric_finite_or_not_and_nothing_else_is(
    kind, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    names: dict[str, object] = {}
    exec(VALUES, names)  # noqa: S102
    known = [*names["VALUES"], "absent"]
    keys = {
        "name": "kinds", "trial": KINDS[kind], "metric": "score", "mode": "max", "epochs": 2,
        "caviar": {"searcher": "grid", "scheduler": "none"},
    }  # fmt: skip
    space = {} if "objective" in kind else {"search_space": {"what": f"choice({known})"}}
    done = run({**keys, **space}, executor="inline", progress=False)
    rows = {trial.hyperparameters["what"]: trial for trial in done.records.trials}
    assert rows.keys() == set(known) and done.status == "finished"
    for what, trial in rows.items():
        scores = [row["metrics"]["score"] for row in done.records.of(trial.trial).epochs]
        if what in NUMBERS:
            assert trial.status == "finished", (what, trial.error)
            assert scores == pytest.approx([1.0, NUMBERS[what]], nan_ok=True), what
        else:
            assert (trial.status, scores) == ("failed", [1.0]), what
            assert "score" in trial.error and "Received: " in trial.error
    assert "which a boolean is not" in rows["a boolean"].error
    assert done.best.hyperparameters["what"] in {w for w, v in NUMBERS.items() if v in (2.0, 1.0)}
