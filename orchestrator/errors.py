"""Every error a caller can act on, one leaf for each different thing to do.

OrchestratorError
├── ExperimentFileError   fix the experiment file (or a file it points to)
├── UnknownNameError      fix the name: no such model, data set, space, run or trial
├── DataError             fix the data: shapes, labels, splits
├── RunExistsError        choose another name, or resume
│   └── LockLostError     leave the run to the driver that took it over
├── RequestError          ask for something else: what was asked of a model in training cannot be
├── RecordError           look at the record: file and line are named
├── TrialError            look at the trial: its code raised
└── PlaceError            look at the place: cores, memory, disk, a missing package
    └── NotStarted        look at Ray: no trial began

Sentence shape: *where: what was expected. Received: X. Did you mean Y? Known: A, B, C.*
The command line prints them as one block and exits 2; any other exception is a bug.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from orchestrator.redaction import redact, redacted


class OrchestratorError(Exception):
    """Something the caller can fix; its message is the whole explanation, without any secret."""

    def __init__(self, message: str = "", *more: object) -> None:
        super().__init__(encodable(redact(message)), *more)


class ExperimentFileError(OrchestratorError):
    """The experiment file, or a file it points to, cannot be used as written."""


class UnknownNameError(OrchestratorError):
    """A name that refers to nothing."""


class DataError(OrchestratorError):
    """The data cannot be used as it is."""


class RunExistsError(OrchestratorError):
    """A run of that name exists and would be overwritten."""


class LockLostError(RunExistsError):
    """Another driver has taken the run over: this one slept, or its machine was cut off."""


class RequestError(OrchestratorError):
    """What was asked of a model in training cannot be done as things stand; nothing was written."""


class RecordError(OrchestratorError):
    """A record on disk is damaged or absent."""


class RecordWarning(UserWarning):
    """Something on disk cannot be read and is left out; the message says what."""


class TrialError(OrchestratorError):
    """A trial's own code raised."""


class StopNow(KeyboardInterrupt):
    """A second Ctrl-C, taken by us: a plain KeyboardInterrupt out of a trial was raised by its own code."""


class PlaceError(OrchestratorError):
    """The machine or cluster lacks what was asked of it."""


class NotStarted(PlaceError):
    """Ray could not be started or joined: no trial began."""


_SHORT_FOR = {
    "lr": "learning_rate",
    "alpha": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "wd": "weight_decay",
    "eps": "epsilon",
    "beta1": "beta_1",
    "beta2": "beta_2",
    "layers": "hidden_layers",
    "num_layers": "hidden_layers",
    "n_layers": "hidden_layers",
    "neurons": "units",
    "hidden_units": "units",
    "opt": "optimizer",
}
"""What people call hyperparameters for short."""


LONGEST_SAID = 500
"""Characters of what somebody else's code says that are shown; the whole is in a file beside the records."""


def encodable(text: str) -> str:
    r"""Return a text that can be written and shown anywhere: NUL and what is no Unicode (``\udcfc``) spelt out."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def shortened(text: str, longest: int = LONGEST_SAID) -> str:
    """Return a text without its middle where it is longer than ``longest`` characters."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]} [... {len(text) - 2 * half} characters ...] {text[-half:]}"


def said_by(error: BaseException) -> str:
    """Return what an exception of anyone's says, encodable; of one that cannot say it, that."""
    return encodable(_of_theirs(str, error))


def _of_theirs(ask: Callable[[object], str], value: object) -> str:
    """Return what ``str`` or ``repr`` gives of a value whose class may be anyone's."""
    try:
        return ask(value)
    except Exception as error:  # noqa: BLE001 (their class may raise anything)
        return f"<{type(value).__name__}, whose {ask.__name__} raises {type(error).__name__}>"


def exit_code(ended: SystemExit) -> str:
    """Return what somebody's ``sys.exit`` ended with: a number, or a message."""
    return shortened(said_by(ended)) or "0"


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the nearest of ``known``, or an empty string."""
    names = [str(item) for item in known]
    meant = _SHORT_FOR.get(str(name).lower())
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    close = [each for each in names if sorted(each) == sorted(str(name))][:1] or close
    if meant in names:
        close = [str(meant)]
    return f" Did you mean {close[0]!r}?" if close else ""


def on_one_line(text: str) -> str:
    """Return a text with line breaks and other control characters spelt out."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


def explain(where: str, expected: str, received: object, known: Iterable[str] = ()) -> str:
    """Return one message of the house's sentence shape.

    ``expected`` is a clause of its own ("expected …", "unknown …") or just what would have been right.
    ``known`` adds the near miss of ``received`` and the sorted list of what would have been right.
    """
    where, expected = on_one_line(where), on_one_line(expected)
    names = sorted(on_one_line(str(name)) for name in known)
    whole = expected.startswith(("expected", "unknown"))
    wanted = expected if whole else f"expected {expected}"
    message = f"{where}: {wanted}. Received: {_of_theirs(repr, redacted(received))}."
    if names:
        message += near_miss(_of_theirs(str, received), names) + f" Known: {', '.join(names)}."
    return message
