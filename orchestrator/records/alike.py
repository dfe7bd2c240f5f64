"""Whether trials failed with one and the same error, whatever numbers and addresses it named."""

from __future__ import annotations

import re
from collections.abc import Iterable

_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def shared_error(errors: Iterable[str | None]) -> str | None:
    """Return the first of the errors where all are alike; None where they differ, or one is none."""
    found = list(errors)
    kinds = {_CHANGING.sub("#", error) if error else None for error in found}
    return found[0] if len(kinds) == 1 else None
