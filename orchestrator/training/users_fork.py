"""The script of a fork in which a user's code runs: its stdin is the connection to who asked for it."""

from __future__ import annotations

import importlib
import os
import sys
from multiprocessing.connection import Connection

if __name__ == "__main__":
    there = Connection(os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path[:] = there.recv()
    importlib.import_module(sys.argv[1]).serve(there)
