"""Chromium without a window, over a pipe: the DevTools protocol, with neither a port nor a package.

https://chromedevtools.github.io/devtools-protocol/ has the methods.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from tests.debian import PATH, why_not

PATIENCE = 300
"""Seconds without a word: another process may have the processor for a while."""


def why_no_browser() -> str | None:
    return why_not({"chromium": "chromium"})


class Browser:
    """One page of a browser, and what it complained of and asked for since it was opened."""

    def __init__(self) -> None:
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = "--headless=new --no-sandbox --disable-gpu --no-first-run --remote-debugging-pipe"
        command = f"exec chromium {flags} --user-data-dir={self._home.name} 3<&{theirs} 4>&{ours}"
        self._process = subprocess.Popen(
            ["/bin/bash", "-c", command],
            pass_fds=(theirs, ours),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PATH": PATH},
        )
        os.close(theirs)
        os.close(ours)
        self._numbers, self._rest, self._session = itertools.count(1), b"", None
        self.events: list[dict] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *raised: object) -> None:
        with contextlib.suppress(OSError):
            self._session = None
            self.ask("Browser.close")
        self._process.wait(timeout=60)
        self._home.cleanup()

    def ask(self, method: str, **params: Any) -> dict:
        """Call a method and return what it gives; what else is told meanwhile becomes an event."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (told := self._hear()).get("id") != number:
            self.events.append(told)
        assert "error" not in told, f"{method}: {told['error']}"
        return told["result"]

    def _hear(self) -> dict:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], PATIENCE)
            more = os.read(self._from, 1 << 20) if ready else b""
            if not more:
                raise BrokenPipeError("the browser is gone, or says nothing")
            self._rest += more
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, file: Path, fragment: str = "") -> None:
        """Open a file and wait until it is loaded, anew where it was open."""
        self.ask("Page.navigate", url="about:blank")  # a fragment alone would load nothing
        self._wait_until_loaded()
        self.events.clear()
        self.ask("Page.navigate", url=file.as_uri() + fragment)
        self._wait_until_loaded()

    def _wait_until_loaded(self) -> None:
        while "Page.loadEventFired" not in [event.get("method") for event in self.events]:
            self.events.append(self._hear())
        self.events = [e for e in self.events if e.get("method") != "Page.loadEventFired"]

    def run(self, script: str) -> Any:
        """Return what an expression gives; what it throws fails."""
        done = self.ask(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def size(self, width: int, height: int, mobile: bool = False) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.ask("Emulation.setDeviceMetricsOverride", **metrics)

    def drag(self, x: float, begin: float, end: float) -> None:
        """Drag the mouse down from one height to another."""
        steps = [("mouseMoved", begin), ("mousePressed", begin)]
        steps += [("mouseMoved", begin + (end - begin) * k / 5) for k in range(1, 6)]
        for kind, y in [*steps, ("mouseReleased", end)]:
            pressed = {"button": "left", "buttons": 1} if kind != "mouseMoved" or y != begin else {}
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, clickCount=1, **pressed)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key of the keyboard, as Tab, Enter or Escape, or a letter."""
        text = {"text": "\r" if key == "Enter" else key} if key == "Enter" or len(key) == 1 else {}
        codes = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}
        code = {"windowsVirtualKeyCode": codes.get(key, ord(key[0].upper()))}
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                more = text if kind == "keyDown" else {}
                self.ask("Input.dispatchKeyEvent", type=kind, key=key, **code, **more)

    def pdf(self) -> bytes:
        return base64.b64decode(self.ask("Page.printToPDF", printBackground=True)["data"])

    def complaints(self) -> list[str]:
        """Return what the console says, what was thrown and each window that opened, since the page was opened."""
        found = []
        for event in self.events:
            params = event.get("params", {})
            match event.get("method"):
                case "Runtime.exceptionThrown":
                    found.append(str(params["exceptionDetails"]))
                case "Log.entryAdded":
                    found.append(params["entry"]["text"])
                case "Runtime.consoleAPICalled" | "Page.javascriptDialogOpening":
                    found.append(str(params))
        return found

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the page was opened."""
        sent = (e for e in self.events if e.get("method") == "Network.requestWillBeSent")
        return [event["params"]["request"]["url"] for event in sent]
