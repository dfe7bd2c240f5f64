"""What cannot work is refused in one block, before Ray starts and before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

EXPERIMENT = """\
name: refused
model: mlp
data: digits
search_space: {learning_rate: "loguniform(1e-3, 1)"}
epochs: 2
caviar: {num_samples: 2}
"""

TABLE = "a,b,label\n" + "".join(f"{i},{i + 1},{'xyz'[i % 3]}\n" for i in range(60))

CASES = {
    "malformed": ("model: [mlp", ["e.yaml", "line"]),
    "unknown key": (EXPERIMENT + "epoches: 3\n", ["line 7", "Did you mean 'epochs'?"]),
    "duplicate key": (EXPERIMENT + "epochs: 3\n", ["epochs", "line"]),
    "wrong type": (EXPERIMENT + "seed: many\n", ["line 7", "'many'"]),
    "unknown model": (EXPERIMENT.replace("mlp", "mpl"), ["model", "Did you mean 'mlp'?"]),
    "missing model file": (EXPERIMENT.replace("mlp", "./net.py"), ["net.py"]),
    "missing data file": (EXPERIMENT.replace("digits", "./x.csv"), ["x.csv"]),
    "min over max": (EXPERIMENT.replace("1e-3, 1", "1, 1e-3"), ["learning_rate", "min"]),
    "zero trials": (EXPERIMENT.replace("num_samples: 2", "num_samples: 0"), ["at least 1"]),
    "too many cores": (EXPERIMENT + "resources: {cpu: 10000}\n", ["resources.cpu", "10000"]),
    "too many GPUs": (EXPERIMENT + "resources: {gpu: 10000}\n", ["resources.gpu"]),
    "nothing reads it": (
        EXPERIMENT.replace("learning_rate", "learning_rat"),
        ["learning_rat", "Did you mean 'learning_rate'?"],
    ),
    "no such column": (
        EXPERIMENT.replace("data: digits", "data: {source: ./t.csv, label: lable}"),
        ["lable"],
    ),
    "wrong label shape": (EXPERIMENT.replace("digits", "./shape.npz"), ["shape.npz"]),
    "a class in one split only": (EXPERIMENT.replace("digits", "./classes.npz"), ["class"]),
}


@pytest.fixture
def files(here) -> Path:
    import numpy as np

    Path("t.csv").write_text(TABLE)
    np.savez("shape.npz", x=np.zeros((9, 4)), y=np.zeros((8,), dtype=int))
    x, y = np.random.default_rng(0).random((60, 4)), np.arange(60) % 3
    np.savez("classes.npz", x_train=x, y_train=y, x_test=x[:9], y_test=np.full(9, 7))
    return here


def refused(result, words: list[str]) -> bool:
    """Whether the answer is one block on stderr, with these words, and exit 2."""
    first, *others = result.stderr.splitlines()
    text = " ".join(result.stderr.split())
    return (
        (result.exit_code, result.stdout) == (2, "")
        and first.startswith("error: ")
        and all(line.startswith("       ") for line in others)
        and all(word in text for word in words)
    )


@pytest.mark.parametrize("case", CASES)
def test_run_refuses_and_writes_nothing(case, cli, files):
    text, words = CASES[case]
    Path("e.yaml").write_text(text)
    before = sorted(Path().rglob("*"))
    result = cli("run", "e.yaml")
    assert refused(result, words), result.output
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize("case", CASES)
def test_preview_refuses_what_run_refuses(case, cli, files):
    text, words = CASES[case]
    Path("e.yaml").write_text(text)
    result = cli("preview", "e.yaml")
    assert refused(result, words), result.output


@pytest.mark.parametrize("case", ["nothing reads it", "a class in one split only"])
def test_ray_and_keras_are_not_even_imported_for_a_refusal(case, process, files):
    Path("e.yaml").write_text(CASES[case][0])
    result = process("run", "e.yaml", then="2>&1", PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 2
    loaded = {line.rsplit("|")[-1].strip() for line in result.stdout.splitlines() if "|" in line}
    assert "orchestrator.experiment.run" in loaded  # by flow
    assert loaded & {"ray", "tensorflow", "keras"} == set()


def test_a_name_that_is_taken_is_refused_with_commands_that_exist(cli, files, a_run):
    a_run("refused")
    Path("e.yaml").write_text(EXPERIMENT)
    result = cli("run", "e.yaml")
    assert result.exit_code == 2
    text = " ".join(result.stderr.split())
    assert "orchestrator show runs/refused" in text and "--set name=" in text
    assert cli("show", "runs/refused").exit_code == 0


def test_an_address_that_nothing_listens_at_is_refused_at_once(cli, files, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    Path("e.yaml").write_text(EXPERIMENT)
    result = cli("run", "e.yaml")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: RAY_ADDRESS: expected")
    assert not Path("runs").exists()


def test_an_output_that_cannot_be_written_is_refused_before_the_run(cli, files):
    Path("e.yaml").write_text(EXPERIMENT)
    result = cli("run", "e.yaml", "--output", "nowhere/t.csv")
    assert result.exit_code == 2
    assert not Path("runs").exists()


def test_a_storage_that_is_a_file_is_refused(cli, files):
    Path("e.yaml").write_text(EXPERIMENT)
    result = cli("run", "e.yaml", "--set", "storage_path=t.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: storage_path: ")


def test_a_bug_shows_its_traceback_and_has_a_code_of_its_own(process, files):
    program = "import orchestrator.cli.author as p; p.version.__code__ = (lambda: 1 / 0).__code__"
    Path("sitecustomize.py").write_text(program)
    result = process("version", PYTHONPATH=f"{files}:{Path(__file__).parents[2]}")
    assert result.returncode == 70
    assert "Traceback" in result.stderr and "ZeroDivisionError" in result.stderr
