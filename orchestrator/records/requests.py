"""What people ask of a model in training: one file a request, written whole, never changed.

Anyone who can write to the run's folder can ask, from any machine: two writers never share a file,
so none is lost, and the names sort by the time of asking. The model's trainer answers in the
journal; a request's file stays as it was.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import socket
import time
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from orchestrator.errors import RecordWarning
from orchestrator.records.atomic_write import made, write_atomically
from orchestrator.records.folder import RunFolder
from orchestrator.records.jsonl import as_plain, revived
from orchestrator.records.line_fields import SAFE_NAME
from orchestrator.redaction import redacted, restored

Action = Literal["set", "pause", "continue", "rollback", "branch", "note", "stop"]
ACTIONS: tuple[str, ...] = get_args(Action)
LARGEST = 1_000_000  # bytes
_REQUIRED = ("action", "trial", "arguments", "who", "time")


class UnreadableRequestWarning(RecordWarning):
    """A file among the requests is none and is left out."""


def user_at_host() -> str:
    """Return who is asking, as ``ada@node3``; a user without a name is its number."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in this container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Request:
    """One thing asked of one trial. ``id`` is its file's stem, empty until it is written.

    ``arguments`` by action: set {changes: {name: value}}; rollback {to_day} or {to_epoch}; branch
    {at_day, changes, name}; note {text}; pause, continue and stop none. ``at_day`` None means as
    soon as possible, else at the beginning of that day. ``expect`` holds the values that the asker
    believed to be in force; ``force`` allows values out of their domain.
    """

    action: str
    trial: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    who: str = field(default_factory=user_at_host)
    time: str = field(default_factory=_now)
    why: str | None = None
    at_day: int | None = None
    expect: Mapping[str, Any] = field(default_factory=dict)
    force: bool = False
    id: str = ""

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"action: expected one of {', '.join(ACTIONS)}: {self.action!r}")


def write_request(folder: RunFolder, request: Request) -> Request:
    """Put a request where the run's trainer looks for it; return it with its id."""
    host = "".join(sign if sign.isalnum() else "_" for sign in socket.gethostname())[:60]
    # Padded, so that names sort as numbers; the last part tells requests of one clock tick apart.
    name = f"{time.time_ns():020d}-{host}-{os.getpid()}-{secrets.token_hex(4)}"
    written = replace(request, id=name)
    content = {key: value for key, value in asdict(written).items() if key != "id"}
    text = json.dumps(redacted(as_plain(content)), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(made(folder.requests) / f"{name}.json", text + "\n")
    return written


def requests_of(folder: RunFolder, trial: str | None = None) -> list[Request]:
    """Return the requests made of a trial (None: of any), in order of arrival.

    A file that is no request is left out with an UnreadableRequestWarning.
    """
    found = (_read_or_warn(file) for file in sorted(folder.requests.glob("[!.]*.json")))
    return [request for request in found if request and trial in (None, request.trial)]


def _read_or_warn(file: Path) -> Request | None:
    try:
        return _read(file)
    except (OSError, ValueError, RecursionError) as error:
        message = f"{file}: not a request, left out: {error}"
        warnings.warn(message, UnreadableRequestWarning, stacklevel=4)
        return None


def _read(file: Path) -> Request:
    if file.is_symlink() or not file.is_file():  # a pipe would never end
        raise ValueError("expected a file")
    if file.stat().st_size > LARGEST:
        raise ValueError(f"expected at most {LARGEST} bytes")
    document = json.loads(file.read_bytes())
    if not isinstance(document, dict) or not all(name in document for name in _REQUIRED):
        raise ValueError(f"expected a JSON object with {', '.join(_REQUIRED)}")
    known = {field.name for field in fields(Request)} - {"id"}
    facts = {name: revived(value) for name, value in document.items() if name in known}
    _check(facts)
    changes = facts["arguments"].get("changes")
    if changes:
        facts["arguments"] = {**facts["arguments"], "changes": restored(changes)}
    return Request(**facts | {"expect": restored(facts.get("expect", {}))}, id=file.stem)


def _check(facts: Mapping[str, Any]) -> None:
    """Raise ValueError where a fact is not what its name says: anyone can put a file there."""
    mappings = (facts["arguments"], facts.get("expect", {}))
    if not all(isinstance(mapping, dict) for mapping in mappings):
        raise ValueError("expected mappings for arguments and expect")
    texts = ("action", "trial", "who", "time")
    if not all(isinstance(facts[name], str) for name in texts):
        raise ValueError(f"expected texts for {', '.join(texts)}")
    if not SAFE_NAME.fullmatch(facts["trial"]) or facts["action"] not in ACTIONS:
        raise ValueError("expected a trial's name, and an action such as set")
    if not isinstance(facts.get("why"), str | None):
        raise ValueError("expected a text for why")
