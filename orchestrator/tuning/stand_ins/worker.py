"""Stands in for the script by which Ray starts a worker: has it forked from a process that has imported Keras.

It lasts as long as the fork does and ends as that ends; where it is ended itself, so is the fork. Without a fork
server, or where Ray asks for a worker of another kind, Ray's own script follows.
"""

import os
import sys

del sys.path[0]  # this folder

import json  # noqa: E402
import socket  # noqa: E402

SOCKET = "ORCHESTRATOR_FORK_SERVER"
OWN = "setup_worker.py"
PLAIN = ("", "{}")
CONTEXT = "--serialized-runtime-env-context="
OTHERS = ("--worker-type=", "--language=JAVA", "--language=CPP")
OF_THE_SCRIPT = (CONTEXT, "--language=")
MODULES = ["orchestrator.tuning.worker"]


def main(words: list[str]) -> int:
    """Return the exit code of the worker."""
    path = os.environ.pop(SOCKET, "")
    script = next(index for index, word in enumerate(words) if word.endswith(".py"))
    code = forked(path, words[script:]) if path and may_be_forked(words[script:]) else None
    if code is None:
        own = os.path.join(os.path.dirname(words[script]), OWN)  # noqa: PTH118, PTH120 (pathlib is slow to import)
        os.execv(sys.executable, [sys.executable, own, *words])  # noqa: S606
    return code


def may_be_forked(words: list[str]) -> bool:
    """Return whether a worker is an ordinary one, in the environment that all have."""
    contexts = [word.removeprefix(CONTEXT) for word in words if word.startswith(CONTEXT)]
    return set(contexts) <= set(PLAIN) and not any(word.startswith(OTHERS) for word in words)


def forked(path: str, words: list[str]) -> int | None:
    """Return the exit code of the fork that was the worker; None where there is none."""
    asked = {
        "words": [word for word in words if not word.startswith(OF_THE_SCRIPT)],
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109
        "modules": MODULES,
    }
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            socket.send_fds(server, [b" "], [0, 1, 2])
            server.sendall(json.dumps(asked).encode() + b"\n")
            with server.makefile("r") as answers:
                pid, code = answers.readline(), answers.readline()
    except OSError:
        return None
    if not pid:
        return None
    number = int(code or 1)
    return number if number >= 0 else 128 - number


sys.exit(main(sys.argv[1:]))
