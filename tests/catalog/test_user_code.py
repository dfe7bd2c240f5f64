"""What users' code prints goes to stderr, and the caller's stdout is as it was afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import io
import subprocess
import sys

import pytest

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError


def prints_everywhere():
    print("python")
    ctypes.CDLL(None).puts(b"C")
    subprocess.run(["echo", "child"], check=True)
    sys.stdout.flush()


def test_python_c_and_child_processes_print_on_stderr(capfd):
    print("before")
    ctypes.CDLL(None).puts(b"C before")
    with UsersCode("model x"):
        prints_everywhere()
    print("after")
    ctypes.CDLL(None).puts(b"C after")
    ctypes.CDLL(None).fflush(None)
    out, err = capfd.readouterr()
    assert sorted(out.split("\n")) == ["", "C after", "C before", "after", "before"]
    assert sorted(err.split()) == ["C", "child", "python"]


def test_a_stdout_of_the_callers_own_gets_nothing_and_is_put_back():
    own = io.StringIO()
    with contextlib.redirect_stdout(own):
        with UsersCode("model x"):
            prints_everywhere()
        print("mine")
    assert own.getvalue() == "mine\n"


def test_stdout_is_put_back_where_the_code_raises(capfd):
    with pytest.raises(TrialError), UsersCode("model x"):
        raise ValueError
    prints_everywhere()
    assert sorted(capfd.readouterr().out.split()) == ["C", "child", "python"]


def test_a_closed_stdout_is_no_fault_of_the_users_code():
    program = (
        "import os; os.close(1)\n"
        "from orchestrator.catalog import UsersCode\n"
        "with UsersCode('model x'): print('python')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "python\n")


def test_rows_of_data_in_what_was_raised_are_left_out():
    rows = "assertion failed: [[0.0038 -0.0446 0.0444] [0.0198 -0.0446 0.0616] [0.0272\n 1 2]]"
    with pytest.raises(TrialError) as caught, UsersCode("model x"):
        raise ValueError(rows)
    assert "its code raised ValueError: assertion failed: […]" in str(caught.value)
    with pytest.raises(TrialError, match=r"shape \[32, 10\]"), UsersCode("model x"):
        raise ValueError("shape [32, 10]")
