"""Whether anything listens where RAY_ADDRESS points: Ray itself takes minutes to give up."""

from __future__ import annotations

import os
import socket

from orchestrator.errors import PlaceError, explain

SECONDS = 5.0


def check_ray_address() -> None:
    """Raise PlaceError where ``RAY_ADDRESS`` names a host and port that no one answers at."""
    address = os.environ.get("RAY_ADDRESS", "")
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()
    except (OSError, OverflowError) as error:
        expected = "expected the address of a Ray cluster that runs"
        raise PlaceError(explain("RAY_ADDRESS", expected, f"{address}: {error}")) from None
