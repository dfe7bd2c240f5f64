"""axe-core, which looks for what keeps people with a disability out of a page: fetched where the tests may install."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tarfile
from typing import Any

from tests.browser import Browser
from tests.debian import CACHE, INSTALL

VERSION = "4.14.1"
FILE = CACHE / f"axe-core-{VERSION}.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def why_no_axe() -> str | None:
    """Return why axe is not here, after fetching it where ORCHESTRATOR_TEST_INSTALL=1 says so."""
    if FILE.is_file():
        return None
    if os.environ.get(INSTALL) != "1" or not shutil.which("npm"):
        return f"needs axe-core {VERSION}: {INSTALL}=1 lets the tests fetch it by npm, which is to be there"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "axe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
        subprocess.run(command, check=True, timeout=300, cwd=CACHE, stdout=subprocess.DEVNULL)
        packed = CACHE / f"axe-core-{VERSION}.tgz"
        with tarfile.open(packed) as archive:
            content = archive.extractfile("package/axe.min.js").read()
        FILE.with_suffix(".part").write_bytes(content)
        FILE.with_suffix(".part").rename(FILE)
        packed.unlink()
    return None


def findings(browser: Browser, scope: str = "document") -> list[str]:
    """Return what axe finds in the page that is open: its rule, the element, and why."""
    if not browser.run("typeof axe === 'object'"):
        browser.run(FILE.read_text(encoding="utf-8") + "; 0")
    options = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
    found: list[dict[str, Any]] = browser.run(
        f"axe.run({scope}, {options!r}).then(found => found.violations)"
    )
    return [
        f"{rule['id']}: {node['html'][:160]}: {node['failureSummary'][:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def dark(browser: Browser, wanted: bool) -> None:
    value = "dark" if wanted else "light"
    feature = {"name": "prefers-color-scheme", "value": value}
    browser.ask("Emulation.setEmulatedMedia", features=[feature])
