"""The process that workers are forked from begins before a command's file is read through, if that looks like Keras."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.experiment import ahead
from orchestrator.experiment.ahead import begun_by_guess, server_of_forks

KERAS = "name: a\nmodel: mlp\ndata: digits\n"


@pytest.fixture
def servers(monkeypatch):
    """What became of each server, oldest first."""
    told: list[str] = []

    @contextmanager
    def fake(folder, backend):
        told.append("begun")
        yield folder / "forks"
        told.append("ended")

    monkeypatch.setattr(ahead, "fork_server", fake)
    monkeypatch.setattr(ahead, "visible_gpus", int)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return told


def written(folder: Path, text: str) -> Path:
    file = folder / "e.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_run_has_the_server_that_its_command_has_begun(tmp_path, servers):
    with begun_by_guess(written(tmp_path, KERAS), ["epochs=2"]):
        assert servers == ["begun"]
        with server_of_forks("keras", "tensorflow") as forks:
            assert forks is not None and forks.name == "forks"
        with server_of_forks("keras", "tensorflow") as again:
            assert again == forks
        assert servers == ["begun"]
    assert servers == ["begun", "ended"]


@pytest.mark.parametrize("text", ['{"model": "mlp"}', '{\n  "name": "e",\n  "model": "mlp"\n}'])
def test_a_file_of_json_begins_one_too(tmp_path, servers, text):
    with begun_by_guess(written(tmp_path, text), []):
        assert servers == ["begun"]


@pytest.mark.parametrize(("kind", "backend"), [("function", "tensorflow"), ("keras", "jax")])
def test_a_server_that_no_trial_needs_ends_when_that_is_known(tmp_path, servers, kind, backend):
    with begun_by_guess(written(tmp_path, KERAS), []):
        with server_of_forks(kind, backend) as forks:
            assert forks is None
        assert servers == ["begun", "ended"]


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("trial: ./t.py:train\nmodel: mlp\n", []),
        (f"{KERAS}backend: jax\n", []),
        (KERAS, ["backend=torch"]),
        ("data: digits\n", []),
        ('{"trial": "./t.py:train", "model": "mlp"}', []),
        ('{"model": "mlp", "backend": "jax"}', []),
    ],
)
def test_a_file_that_looks_otherwise_begins_none(tmp_path, servers, text, overrides):
    with begun_by_guess(written(tmp_path, text), overrides):
        assert servers == []
        with server_of_forks("keras", "tensorflow") as forks:
            assert forks is not None
    assert servers == ["begun", "ended"]


def test_neither_a_cluster_nor_a_file_that_cannot_be_read_begins_one(
    tmp_path, servers, monkeypatch
):
    with begun_by_guess(tmp_path / "none.yaml", []):
        pass
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    with begun_by_guess(written(tmp_path, KERAS), []), server_of_forks("keras", "tensorflow") as no:
        assert no is None
    assert servers == []


@pytest.mark.parametrize(("flags", "expected"), [([], ["begun", "ended"]), (["--inline"], [])])
def test_a_command_begins_it_before_it_refuses_a_file_and_ends_it(
    tmp_path, servers, flags, expected
):
    from typer.testing import CliRunner

    from orchestrator.cli import app

    file = written(tmp_path, f"{KERAS}no_such_key: 1\n")
    assert CliRunner().invoke(app, ["run", str(file), *flags]).exit_code == 2
    assert servers == expected
