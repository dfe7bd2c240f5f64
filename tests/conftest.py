from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import tests.light.sitecustomize  # noqa: F401
from tests import preloaded
from tests.pages import FAIR

gc.disable()  # until all is collected: what is imported stays

# No deadline: on a busy machine it fails without a fault. Derandomized: a red run can be repeated.
settings.register_profile("here", deadline=None, derandomize=True, max_examples=25)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile("here")

os.environ |= FAIR
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(preloaded.LIGHT), os.environ.get("PYTHONPATH")])
)

HERE = Path(__file__).parent
CLUSTER_FOLDERS = ("chaos", "integration")
CLUSTER_FILES = (
    "test_functions_page.py",
    "experiment/test_better_page.py", "experiment/test_folds.py",
    "experiment/test_missing_folders.py", "experiment/test_warm_start.py",
    "parity/test_exam.py", "parity/test_fuzz.py", "parity/test_reported.py",
    "report/test_report_in_browser.py",
    "training/panda/test_as_recorded.py", "training/test_memory.py", "training/test_raw_rows.py",
    "training/test_trial_process.py",
)  # fmt: skip
"""Minutes, as is whatever starts Ray."""
IN_EVERY_TEST = ("test_caviar.py",)
"""On a real Ray, and in `make test` all the same: one Ray, and runs that train."""

SHARED_BY_A_FOLDER = ("tests/integration/docker/",)
"""Folders whose files share one costly thing, such as an engine: they stay together."""

SPREAD = (
    "tests/parity/test_exam.py", "tests/parity/test_fuzz.py", "tests/training/test_backends.py",
    "tests/training/test_isolation.py",
)  # fmt: skip
"""Files of many long tests that share nothing: all processes take some, so that none waits at the end."""

LONGEST = (
    "integration/slurm/test_slurm.py", "integration/hosts/test_hosts.py", "integration/targets/test_ray_jobs.py",
    "training/test_backends.py", "training/test_isolation.py", "chaos/test_chaos.py", "test_readme.py",
)  # fmt: skip
"""Begun before all others, so that no process waits for one at the end: first what waits itself, beside what computes.
None of them uses the Ray that files of `integration/` share in a process, which another file would end."""

COMPUTING = ("training", "parity", "experiment", "models")
"""Folders of files that take their time: begun before those of which many fit into what is left at the end."""

SHOWN_FROM_SECONDS = 5.0

FOLDER = pytest.StashKey[str]()
"""Where this pytest's servers are asked."""

TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD)
"""Signals that Ray, a run or a test hears itself."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder; begin with those that mostly wait for others to start, so that none of them comes last."""
    for item in items:
        file = item.path.relative_to(HERE)
        if file.parts[0] == "integration":
            item.add_marker(pytest.mark.integration)
        minutes = file.parts[0] in CLUSTER_FOLDERS or item.get_closest_marker("integration")
        if (minutes or file.as_posix() in CLUSTER_FILES) and file.name not in IN_EVERY_TEST:
            item.add_marker(pytest.mark.cluster)
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.no_cover)  # pyproject.toml says why
    items.sort(
        key=lambda item: (
            [*LONGEST, file := item.path.relative_to(HERE).as_posix()].index(file),
            item.get_closest_marker("integration") is None,
            file.partition("/")[0] not in COMPUTING,
        )
    )


@pytest.fixture(autouse=True, scope="session")
def preloaded_trial_process() -> Iterator[None]:
    """Where a run begins in this process, its model is built in a fork of one that has imported Keras already."""
    from orchestrator.training import trial_process

    if preloaded.POSSIBLE:
        trial_process.subprocess = preloaded.INSTEAD  # type: ignore[assignment]
    yield
    trial_process.subprocess = subprocess
    preloaded.end_all()


@pytest.fixture(autouse=True, scope="session")
def disk_that_keeps_its_power() -> Iterator[None]:
    """A flush takes ten milliseconds, a small run has fifty; no test cuts the power, a kill loses nothing written."""
    with preloaded.no_flushes():
        yield


@pytest.fixture(autouse=True, scope="session")
def bundled_data_read_once() -> Iterator[None]:
    """Each of hundreds of small runs would parse the same table of text again."""
    from orchestrator.data import load

    readers = dict(load.READERS)
    for name, read in readers.items():
        once = functools.cache(read)
        load.READERS[name] = lambda once=once: tuple(array.copy() for array in once())  # type: ignore[misc]
    yield
    load.READERS.update(readers)


@pytest.fixture(autouse=True, scope="module")
def process_as_the_first_file_found_it(
    request: pytest.FixtureRequest, process_at_first: tuple[Any, ...]
) -> None:
    """Whatever the file before left behind here, and but for `tests/integration/` with no Ray that others keep."""
    environment, folder, argv, path, handlers, mask = process_at_first
    kept = ("PYTEST_",)
    if request.path.relative_to(HERE).parts[0] == "integration":
        kept = ("PYTEST_", "RAY_", "TUNE_")
    elif "ray" in sys.modules:
        sys.modules["ray"].shutdown()
    kept_here = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    os.environ.clear()
    os.environ.update(environment | kept_here)
    os.chdir(folder)
    os.umask(mask)
    sys.argv[:], sys.path[:] = argv, path
    for number, handler in handlers.items():
        if handler is not None:  # as Python calls one that it did not install
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def process_at_first() -> tuple[Any, ...]:
    """Of this process what a file's code may change."""
    handlers = {number: signal.getsignal(number) for number in TAKEN}
    os.umask(mask := os.umask(0o022))
    return dict(os.environ), Path.cwd(), [*sys.argv], [*sys.path], handlers, mask


@pytest.fixture(scope="module")
def real_trial_process() -> Iterator[None]:
    """Let a module's models be built in the process that users have."""
    from orchestrator.training import trial_process

    instead = trial_process.subprocess
    trial_process.subprocess = subprocess
    yield
    trial_process.subprocess = instead


def pytest_collection_finish() -> None:
    """Let the collector look no more at what was imported for all tests, and less often at what they leave."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class DurationsByFile:
    """Adds up how long each file's tests took, fixtures included, and shows it at the end."""

    def __init__(self) -> None:
        self._seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        long = [(file, s) for file, s in self._seconds.most_common() if s >= SHOWN_FROM_SECONDS]
        if not long:
            return
        terminalreporter.section("durations by file, in seconds of one process")
        for file, seconds in long:
            terminalreporter.write_line(f"{seconds:7.1f}  {file}")
        rest = sum(self._seconds.values()) - sum(seconds for _, seconds in long)
        terminalreporter.write_line(
            f"{rest:7.1f}  the other {len(self._seconds) - len(long)} files"
        )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(
        config, "workerinput"
    ):  # a process of pytest-xdist's reports to the one that shows
        config.pluginmanager.register(DurationsByFile())
        if preloaded.SERVERS not in os.environ:  # else this pytest is started by a test
            os.environ[preloaded.SERVERS] = config.stash[FOLDER] = tempfile.mkdtemp(
                prefix="pre-", dir="/tmp"
            )


def pytest_unconfigure(config: pytest.Config) -> None:
    if FOLDER in config.stash:
        shutil.rmtree(config.stash[FOLDER], ignore_errors=True)
        del os.environ[preloaded.SERVERS]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``pytest -n 2`` most files' tests stay in one process (xdist 3.8 does not see groups under pytest 9.2)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if file in SPREAD:
                return nodeid
            return next((folder for folder in SHARED_BY_A_FOLDER if folder in file), file)

        def _reschedule(self, node: Any) -> None:
            """Have one test wait in a process, which would not begin the one before without it, and not two."""
            if not self.workqueue or self._pending_of(self.assigned_work[node]) < 2:
                super()._reschedule(node)

    return ByFile(config, log)
