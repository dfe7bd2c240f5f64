"""What is looked at before Ray starts or is joined, so that it fails in one sentence, at once, with nothing written."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import PlaceError, explain, said_by, shortened

NEEDED_FILES = 512
"""How many files Ray's processes have open at once, generously counted for a few workers."""
ENOUGH_FILES = 65_536
GIB = 2**30
LEAST = (
    (resource.RLIMIT_AS, "ulimit -v", 2 * GIB, "of address space, which Ray's object store takes"),
    (resource.RLIMIT_FSIZE, "ulimit -f", GIB // 8, "a file, since Ray's object store is one"),
)
CONNECT_SECONDS = 5.0
"""How long the host at RAY_ADDRESS may take to accept a connection: Ray itself takes minutes to give up."""
JOIN_SECONDS = 20.0
"""How long a cluster may take to answer: Ray itself waits 40 s and longer."""
_ADDRESS = re.compile(r"(?:ray://)?(?:\[[^\]\s]+\]|[^:\s/]+):(\d{1,5})")
_FATAL = re.compile(
    r"Check failed|bad_alloc|annot allocate memory|No space left|File too large|Too many open files"
    r"|Resource temporarily unavailable|Permission denied"
)
_PREFIX = re.compile(r"^\[.*?\](?: \(\w+\))? (?:[\w./-]+:\d+: )?")


def local_limits() -> list[str]:
    """Return the limits of this process with which Ray cannot start, each as a sentence."""
    found = []
    for kind, name, least, what in LEAST:
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY and soft < least:
            expected = f"expected at least {least / GIB:g} GiB {what}"
            found.append(explain(name, expected, f"{soft / GIB:.3g} GiB"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        expected = f"expected at least {NEEDED_FILES} files that a process of Ray's may open"
        found.append(explain("ulimit -n", expected, hard))
    return found


def raise_open_files() -> None:
    """Let the processes that this one starts open as many files as the system allows them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_local() -> None:
    """Raise PlaceError where no Ray can start here: its folder cannot be written, a limit is too low."""
    asked = os.environ.get("RAY_TMPDIR")
    if asked and not (Path(asked).is_dir() and os.access(asked, os.W_OK)):
        raise PlaceError(explain("RAY_TMPDIR", "expected a folder that can be written", asked))
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise PlaceError(
            explain("TMPDIR", "a folder for temporary files", said_by(error))
        ) from None
    limits = local_limits()
    if limits:
        raise PlaceError("\n".join(limits))


def check_ray_address() -> None:
    """Raise PlaceError where ``RAY_ADDRESS`` names no cluster that can be joined, or no Ray can start here."""
    address = check_ray_form()
    if address.rpartition(":")[0] and not address.startswith("ray://"):
        check_answers(address)


def check_ray_form() -> str:
    """Return ``RAY_ADDRESS``, "" for a Ray that is to start here.

    Raises PlaceError where nothing listens there, or a limit or folder of this process keeps Ray from starting.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    if address in ("", "local"):
        check_local()
        return ""
    check_form(address)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        return address
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        expected = "expected the address of a Ray cluster that runs"
        raise PlaceError(explain("RAY_ADDRESS", expected, f"{address}: {error}")) from None
    return address


def check_form(address: str) -> None:
    """Raise PlaceError where ``RAY_ADDRESS`` can be no address of a cluster."""
    found = _ADDRESS.fullmatch(address)
    if address in ("auto", "local") or (found and 0 < int(found[1]) < 2**16):
        return
    expected = "expected HOST:PORT, ray://HOST:PORT, auto, or no such variable, to start a Ray here"
    raise PlaceError(explain("RAY_ADDRESS", expected, address))


def check_answers(address: str, seconds: float = JOIN_SECONDS) -> None:
    """Raise PlaceError where no Ray answers at HOST:PORT, or one that lets us not in."""
    said: list[str] = []
    asking = threading.Thread(target=_ask, args=(address, said), daemon=True)
    with _silent_stderr():  # Ray's C++ prints what it raises
        asking.start()
        asking.join(seconds)
    if asking.is_alive():
        said.append(f"no answer in {seconds:g} s")
    if said:
        expected = "expected the address of a Ray cluster that runs and lets this process in"
        raise PlaceError(explain("RAY_ADDRESS", expected, f"{address}: {said[0]}"))


def _ask(address: str, said: list[str]) -> None:
    from orchestrator.tuning.ray_internals import ask_gcs

    try:
        ask_gcs(address)
    except ConnectionError as error:
        said.append(shortened(" ".join(said_by(error).split()), 300))


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def said_in_logs(folder: str | None) -> str | None:
    """Return the line in which Ray's own logs say why it did not start; None where none does."""
    if folder is None:
        return None
    logs = Path(folder, "session_latest", "logs")
    for name in ("gcs_server.err", "raylet.err", "gcs_server.out", "raylet.out"):
        file = logs / name
        lines = file.read_text("utf-8", "replace").splitlines() if file.is_file() else []
        for line in lines:
            if _FATAL.search(line):
                return shortened(_PREFIX.sub("", line).strip(), 300)
    return None
