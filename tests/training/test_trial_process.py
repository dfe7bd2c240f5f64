"""A model built in a process of its own: what is told of it, and that nothing it does harms this one."""

from __future__ import annotations

import os
import textwrap
from contextlib import nullcontext

import pytest

from orchestrator.catalog import find_model
from orchestrator.errors import TrialError
from orchestrator.training import trial_process
from orchestrator.training.fork_server import Forked, fork_server
from orchestrator.training.keras_setup import BACKEND
from orchestrator.training.task import Shape
from orchestrator.training.trial_process import NoAnswer, Setup, TrialProcess

pytestmark = pytest.mark.usefixtures("real_trial_process")

NET = """
    import ctypes
    import os
    import keras

    print("module here", "opensesame-" + "hunter2")

    def build(hp, input_shape, num_classes):
        print("python here")
        ctypes.CDLL(None).puts(b"C here")
        match hp.get("fate"):
            case "dies": os._exit(3)
            case "raises": raise ValueError("no " + hp["word"] + chr(10) + "more")
            case "lacks": raise ConnectionResetError("no network")
        model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes, activation="softmax")])
        rate = 0.1
        if hp["compiles"] == "schedule":
            rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
        if hp["compiles"]:
            model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        return model
"""


@pytest.fixture(scope="module", params=["its own", "a fork"], autouse=True)
def started_as(request, tmp_path_factory):
    """A process of its own, or a fork of the server that workers come from."""
    if request.param == "a fork" and not hasattr(os, "pidfd_open"):
        pytest.skip("only under Linux")
    with fork_server(tmp_path_factory.mktemp("s"), BACKEND) if "fork" in request.param else nullcontext():  # fmt: skip
        yield request.param


@pytest.fixture(scope="module")
def build(tmp_path_factory, started_as):
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(textwrap.dedent(NET))
    setup = Setup(find_model("./net.py", folder), Shape((6,), 3))
    with TrialProcess() as process:
        yield lambda **hp: process.build(setup, hp, 1)


def test_it_is_a_fork_where_there_is_a_server(started_as):
    with TrialProcess() as process:
        process.start()
        assert isinstance(process._child, Forked) == (started_as == "a fork")


@pytest.mark.parametrize(
    ("compiles", "seen"),
    [(False, (False, False)), (True, (True, True)), ("schedule", (True, False))],
)
def test_it_is_told_whether_the_builder_compiled_and_whether_the_rate_can_be_set(
    build, compiles, seen
):
    told = build(compiles=compiles)
    assert (told.compiled, told.plain_rate) == seen
    assert told.reads == {"compiles", "fate"}


def test_what_a_builder_raises_is_told_with_its_line(build):
    said = r"^model \./net\.py: its code raised ValueError: no way \(net\.py line 13, in build\)\.$"
    with pytest.raises(TrialError, match=said):
        build(fate="raises", word="way")


def test_a_missing_connection_says_nothing_of_the_workers(build):
    with pytest.raises(NoAnswer):
        build(fate="lacks")


def test_a_builder_that_ends_the_process_fails_and_the_next_one_is_built(build):
    with pytest.raises(TrialError, match=r"ended the process that built it \(exit code 3\)"):
        build(fate="dies")
    assert build(compiles=True).compiled


def test_what_the_first_build_prints_is_on_stderr_without_secrets_and_once(
    tmp_path, capfd, monkeypatch
):
    from orchestrator.redaction import conceal
    from orchestrator.streams import shown_streams

    monkeypatch.setenv("DB_PASSWORD", "opensesame-hunter2")
    conceal({})
    (tmp_path / "net.py").write_text(textwrap.dedent(NET))
    setup = Setup(find_model("./net.py", tmp_path), Shape((6,), 3))
    with shown_streams(), TrialProcess() as process:
        for _ in range(2):
            process.build(setup, {"compiles": False}, 1)
    out, err = capfd.readouterr()
    assert out == ""
    assert [err.count(word) for word in ("module", "python", "C ")] == [1, 1, 1]
    assert "hunter2" not in err


def test_what_an_installed_module_shares_is_refused_at_the_first_trial(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "kept_rules.py").write_text("import keras\nRULE = keras.optimizers.Adam(0.1)\n")
    monkeypatch.syspath_prepend(str(installed))
    (tmp_path / "net.py").write_text(
        textwrap.dedent("""
            import keras
            import kept_rules

            def build(hp, input_shape, num_classes):
                model = keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes)])
                model.compile(kept_rules.RULE, "mse")
                return model
        """)
    )
    setup = Setup(find_model("./net.py", tmp_path), Shape((6,), 3))
    monkeypatch.setattr(trial_process, "QUICK_SECONDS", 1e6)  # however slow this machine is
    answer = trial_process._answer(setup, ({}, 1), [])
    assert isinstance(answer, TrialError)
    assert "the optimizer Adam, which" in str(answer)
