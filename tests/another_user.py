"""What another user of this machine can do with files, sockets and processes: really tried, as ``nobody``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534
_BECOME = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
_TRY = """
import json, os, socket, sys
did = []
def attempt(what, path, act):
    try:
        act()
    except OSError:
        return
    did.append([what, path])
for path in json.load(sys.stdin):
    attempt("list", path, lambda: os.listdir(path))
    attempt("read", path, lambda: open(path, "rb").read(1))
    attempt("write", path, lambda: open(path, "r+b").close())
    attempt("create", path, lambda: open(path + "/of-nobody", "x").close())
    attempt("connect", path, lambda: socket.socket(socket.AF_UNIX).connect(path))
    attempt("move", path, lambda: os.rename(path, path + "-moved"))
print(json.dumps(did))
"""


def _why_not() -> str | None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return "needs root and setpriv, to be another user"
    tried = subprocess.run([*_BECOME, sys.executable, "-c", ""], capture_output=True, cwd="/")
    return "another user may not run this Python" if tried.returncode else None


needs_another_user = pytest.mark.skipif(_why_not() is not None, reason=str(_why_not()))


def as_nobody(source: str, *words: str, given: str = "") -> str:
    """Run a program of Python's as ``nobody``, and return what it prints."""
    done = subprocess.run(
        [*_BECOME, sys.executable, "-B", "-c", source, *words], input=given, cwd="/", text=True,
        env={"PATH": os.environ["PATH"], "HOME": "/"}, capture_output=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def did(paths: Iterable[Path | str]) -> set[tuple[str, str]]:
    """Try to list, read, write, move and connect to each path, and to create a file there; return what succeeded."""
    told = json.loads(as_nobody(_TRY, given=json.dumps([str(path) for path in paths])))
    return {(what, path) for what, path in told}


@contextmanager
def open_place() -> Iterator[Path]:
    """Have a folder with a short name that everybody may look into (pytest's own is closed)."""
    place = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
