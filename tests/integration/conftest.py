"""One Ray cluster for all of these tests, apart from any other on this machine."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
import yaml

import orchestrator
from orchestrator.experiment import Run

SPACE = {
    "learning_rate": "loguniform(0.01, 0.3)",
    "momentum": "one_minus_loguniform(0.9, 0.99)",
    "units": "choice([8, 16])",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    import ray

    from orchestrator.tuning.cluster import QUIET

    if (
        ray.is_initialized()
    ):  # by the file before: tests/conftest.py ends it where the files of this folder end
        return
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=str(tmp_path_factory.mktemp("r")),
    )


@pytest.fixture
def tune(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Run]:
    """`tune(trials, source of a net.py, options of caviar, executor, other keys)`: the run of an experiment."""

    def run(
        trials: int = 6,
        source: str | None = None,
        caviar: Any = None,
        executor: Any = "tune",
        **keys: Any,
    ) -> Run:
        if source is not None:
            (tmp_path / "net.py").write_text("import keras\nimport os\n" + textwrap.dedent(source))
            keys = {"model": "./net.py"} | keys
        experiment = {
            "name": "one", "model": "mlp", "data": "digits", "search_space": SPACE, "epochs": 3,
            "seed": 4, "storage_path": str(tmp_path / "runs"),
            "caviar": {"num_samples": trials} | (caviar or {}),
        }  # fmt: skip
        file = tmp_path / "experiment.yaml"
        file.write_text(yaml.safe_dump(experiment | keys))
        if executor == "tune":
            request.getfixturevalue("cluster")
        return orchestrator.run(file, progress=False, executor=executor)

    return run
