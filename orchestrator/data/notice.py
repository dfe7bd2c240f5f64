"""What is said while data are read: a sentence on stderr, since stdout holds the table alone."""

from __future__ import annotations

import sys


def notice(sentence: str) -> None:
    """Say something that was done with the data, or how far reading is."""
    sys.stderr.write(f"{sentence.rstrip('.')}.\n")
    sys.stderr.flush()
