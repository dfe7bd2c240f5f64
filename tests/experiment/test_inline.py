"""Trials in the driver's own process: without Ray, at the user's terminal, ended and taken up again like any run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest
import yaml

from orchestrator.errors import UnknownNameError
from orchestrator.experiment import resume, run
from tests import preloaded
from tests.experiment.inline import InlineTuner

NET = """
    import sys
    import keras

    def build(hp, input_shape, num_classes):
        {line}
        return keras.Sequential([
            keras.Input(input_shape), keras.layers.Flatten(),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""


@pytest.fixture
def asked(tmp_path):
    """`asked(line of its builder)`: an experiment of two trials, of a bundled model without such a line."""

    def of(line=None, **keys):
        (tmp_path / "net.py").write_text(textwrap.dedent(NET.format(line=line)))
        return {
            "name": "one", "model": str(tmp_path / "net.py") if line else "mlp", "data": "digits",
            "epochs": 2, "seed": 4,
            "search_space": {"learning_rate": "loguniform(0.01, 0.3)"},
            "storage_path": str(tmp_path / "runs"),
            "caviar": {"num_samples": 2, "scheduler": "none"},
        } | keys  # fmt: skip

    return of


def curves(ended):
    rows = ended.reload().records.epochs
    return {(row["trial"], row["epoch"]): row["metrics"] for row in rows}


def ends(ended):
    return {trial.trial: (trial.status, trial.error) for trial in ended.reload().records.trials}


AFTER_RAY = {**os.environ, "PYTHONBREAKPOINT": "ray.util.debugpy.set_trace"}
PROGRAM = """
import sys
from tests import preloaded
from orchestrator.cli import app
from orchestrator.training import trial_process
if preloaded.POSSIBLE:
    trial_process.subprocess = preloaded.INSTEAD
try:
    app(["run", sys.argv[1], "--inline"], prog_name="orchestrator")
finally:
    print("imported:", sorted({"ray", "keras"} & sys.modules.keys()), file=sys.stderr)
"""


def test_a_breakpoint_has_the_terminal_a_print_shows_and_ray_is_not_imported(asked, tmp_path):
    file = tmp_path / "e.yaml"
    file.write_text(yaml.safe_dump(asked("print('units', 8); breakpoint()")))
    if preloaded.POSSIBLE:
        preloaded.WITH_KERAS.path()  # began the program below it, its output would end with the server alone
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, file],
        input="p num_classes\nc\np 6 * 7\nc\nc\n", env=AFTER_RAY | {"PYTHONPATH": preloaded.PYTHONPATH},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert "units 8" in said.stderr
    assert "(Pdb) 10" in said.stderr and "(Pdb) 42" in said.stderr
    assert "imported: ['keras']" in said.stderr
    assert "00001  finished" in said.stdout


def test_an_interrupted_run_is_taken_up_again_to_the_same_numbers(asked):
    whole = run(asked(name="whole", epochs=3), progress=False, executor="inline")
    tuner = InlineTuner()
    tuner.before["00000", 1] = lambda: os.kill(os.getpid(), signal.SIGINT)
    cut_off = run(asked(epochs=3), progress=False, executor=tuner)
    assert cut_off.status == "interrupted"
    assert ends(cut_off) == {"00000": ("interrupted", None)}
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert ended.status == "finished"
    assert curves(ended) == curves(whole)
    assert ended.records.winner["validation"] == whole.records.winner["validation"]


def test_code_that_ends_its_process_is_a_failed_trial_and_the_others_go_on(asked):
    line = (
        "sys.exit(3) if 'orchestrator.tuning.inline' in sys.modules and not sys.argv.pop() else 0"
    )
    before, sys.argv = sys.argv, ["second", ""]
    try:
        ended = run(asked(line), progress=False, executor="inline")
    finally:
        sys.argv = before
    assert ends(ended)["00000"][0] == "failed"
    assert ends(ended)["00000"][1].startswith("SystemExit: 3")
    assert ends(ended)["00001"] == ("finished", None)


def test_leaving_the_debugger_interrupts_the_run_and_fails_no_trial(asked):
    line = "import bdb; exec('raise bdb.BdbQuit' if 'orchestrator.tuning.inline' in sys.modules else '')"
    ended = run(asked(line), progress=False, executor="inline")
    assert ended.status == "interrupted"
    assert ends(ended) == {"00000": ("interrupted", None)}


def test_what_a_model_sets_in_keras_is_put_back_when_the_run_is_over(asked):
    import keras

    line = "keras.config.set_dtype_policy('mixed_bfloat16')"
    ended = run(asked(line, caviar={"num_samples": 1}), progress=False, executor="inline")
    assert ends(ended) == {"00000": ("finished", None)}
    assert keras.config.dtype_policy().name == "float32"


def test_what_ray_could_not_run_is_no_fault_here(asked, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    ended = run(asked(resources={"cpu": 999}), progress=False, executor="inline")
    assert ended.status == "finished"


def test_an_executor_by_another_name_is_refused_with_those_there_are(asked):
    with pytest.raises(
        UnknownNameError, match=r"'inlin'.*Did you mean 'inline'.*Known: inline, tune"
    ):
        run(asked(), executor="inlin")
