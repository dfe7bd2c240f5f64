"""What the process does that builds a user's model before anything starts: as a worker would, and tell what it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.training.keras_setup import prepare_tensorflow
from orchestrator.training.trial_process import NoAnswer, Seen, Setup

_OF_THIS_MACHINE = ("MemoryError", "ResourceExhaustedError")

QUICK_SECONDS = 0.5
"""What takes longer to build is built once: who waits for a start has waited enough."""


def serve(there: Connection) -> None:
    """Build what is asked for, a model after another, until the other end is closed.

    What the first build prints is shown; the others would print the same again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end decides how long this lives
    prepare_tensorflow(os.cpu_count() or 1)
    setup: Setup | None = None
    looked: list[Any] = []
    while True:
        try:
            asked = there.recv()
        except EOFError:
            return
        if isinstance(asked, Setup):
            setup, looked = asked, []
            continue
        assert setup is not None  # noqa: S101
        there.send(_answer(setup, asked, looked))
        _be_silent()


def _answer(setup: Setup, asked: Any, looked: list[Any]) -> Seen | Exception:
    """Return what is seen of a model, or the error that its trial would get.

    The first model is looked at, and built once more: what it shares with an earlier one is refused only then.
    """
    hyperparameters, seed = asked
    from orchestrator.catalog import UsersCode
    from orchestrator.training.compiling import build_model, reads_of

    reference = setup.reference
    began = time.perf_counter()
    try:
        built = build_model(reference, hyperparameters, seed, setup.shape)
        if looked:
            again = setup.look_again
            found = again(built, setup.rows, looked[0]) if again is not None else looked[0]
        else:
            is_quick = time.perf_counter() - began < QUICK_SECONDS
            with UsersCode(f"model {reference.text}", reference.runs_in):
                found = setup.look(built, setup.rows) if setup.look is not None else None
            looked.append(found)
            if is_quick and reference.kind != "bundled":
                _build_silently(setup, hyperparameters, seed)
    except OrchestratorError as error:
        cause = error.__cause__
        here = type(cause).__name__ in _OF_THIS_MACHINE or isinstance(
            cause, ConnectionError | TimeoutError
        )
        return NoAnswer() if here else type(error)(str(error))
    return Seen(
        frozenset(reads_of(built)),
        built.compiled_by_user,
        _has_plain_rate(built.model),
        found,
    )


def _has_plain_rate(model: Any) -> bool:
    """Return whether α of a compiled model's optimizer can be set: it follows no schedule of its own."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return hasattr(getattr(optimizer, "_learning_rate", None), "assign")


def _build_silently(setup: Setup, hyperparameters: Mapping[str, Any], seed: int) -> None:
    """Build a model of which nothing is seen but its error."""
    from orchestrator.training.compiling import build_model

    before = [(stream, os.dup(stream)) for stream in (1, 2)]
    _be_silent()
    try:
        build_model(setup.reference, hyperparameters, seed, setup.shape)
    finally:
        for stream, kept in before:
            os.dup2(kept, stream)
            os.close(kept)


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
