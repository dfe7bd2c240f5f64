"""Ray's processes, each in a group of its own: what is sent to the driver's group is the driver's to answer.

``timeout``, a shell's ``kill %1`` and many CI runners signal a whole process group. Ray's GCS would end first, and a
driver without it waits for a minute and is aborted, before any trial's state was kept.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from ray._private import services


class _Apart(subprocess.Popen[bytes]):
    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options, process_group=0)


@contextlib.contextmanager
def groups_of_their_own() -> Iterator[None]:
    """Have Ray start each process in the block as the leader of a new group.

    Only under Linux: there they end with their driver; elsewhere Ray ends them by the driver's group.
    """
    usual = services.ConsolePopen
    if sys.platform == "linux":
        services.ConsolePopen = _Apart
    try:
        yield
    finally:
        services.ConsolePopen = usual
