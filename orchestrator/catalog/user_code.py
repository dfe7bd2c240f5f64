"""Running a user's code: loading a file by location, turning what it raises into one sentence and its prints to stderr.

Nothing here writes ``import models``: a file is executed under a reserved module name, and its folder is on
``sys.path`` only while its own code runs. People keep ``helper.py`` or ``models/`` in many projects, so modules
of that name from elsewhere step aside meanwhile.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, TextIO, cast

from orchestrator.catalog.hidden import is_taken
from orchestrator.errors import OrchestratorError, TrialError, said_by, shortened
from orchestrator.streams import Shown

_OURS = __name__.partition(".")[0]
FILES_ARE_LOADED_AS = f"_{_OURS}_file_"
"""What the module name of a user's file begins with."""
_INSTALLED = {"site-packages", "dist-packages"}
_PYTHONS_OWN = Path(os.__file__).parent
_siblings: dict[Path, dict[str, ModuleType]] = {}
_stamps: dict[Path, dict[Path, tuple[int, int]]] = {}
_brought_in: dict[Path, set[str]] = {}


@contextlib.contextmanager
def printed_aside() -> Iterator[None]:
    """Have what is printed in the block go to stderr, by C code and child processes too: stdout is the table's."""
    flush_printed()
    with contextlib.ExitStack() as stack:
        stack.callback(
            setattr, sys, "stderr", sys.stderr
        )  # the block may put another in its place, or None
        with contextlib.suppress(OSError):  # one of them is closed: then nothing of C's can be seen
            stack.callback(_put_back, os.dup(1))
            os.dup2(2, 1)
        if sys.stderr is not None and not isinstance(sys.stderr, Shown):
            sys.stderr = cast(TextIO, _Lent(sys.stderr))
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


class _Lent:
    """A stream that whoever has it writes to and cannot close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def close(self) -> None:
        """Leave it open."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _put_back(stdout: int) -> None:
    flush_printed()
    os.dup2(stdout, 1)
    os.close(stdout)


def flush_printed() -> None:
    """Let Python and C write what they hold back to where it was meant to go."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


_ROWS = re.compile(r"\[[\[\]\s\d.,eE+-]{40,}")
"""Numbers of an array, as a message shows them: rows of somebody's data."""


def _without_rows(said: str) -> str:
    return _ROWS.sub("[…]", said)


class UsersCode:
    """A block in which a user's code runs: its exceptions become ours, with file and line; it prints on stderr.

    ``with UsersCode("model ./net.py:build", path): ...`` raises TrialError (or the class given)
    from the user's own exception. Errors of this project, and Ctrl-C, pass as they are. Where the caller sees to what
    is printed, it is left alone (``aside`` False).
    """

    def __init__(
        self,
        where: str,
        file: str | None = None,
        error: type[OrchestratorError] = TrialError,
        aside: bool = True,
    ) -> None:
        self._where = where
        self._file = file
        self._error = error
        self._aside: AbstractContextManager[None] = printed_aside() if aside else nullcontext()

    def __enter__(self) -> None:
        """Enter the user's code."""
        self._aside.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Turn an exception of the user's code into one sentence."""
        self._aside.__exit__(None, None, None)
        if isinstance(raised, Exception) and not isinstance(raised, OrchestratorError):
            said = said_by(raised).strip().splitlines()[:1]
            what = ": ".join([type(raised).__name__, *(shortened(_without_rows(s)) for s in said)])
            message = f"{self._where}: its code raised {what}{self._spot(trace)}."
            raise self._error(message) from raised

    def _spot(self, trace: TracebackType | None) -> str:
        """Return `` (net.py line 3, in build)``: the deepest frame that is the user's own."""
        frames = traceback.extract_tb(trace)
        own = [frame for frame in frames if self._file and frame.filename == self._file]
        chosen = (own or frames[1:] or frames)[-1:]
        return "".join(f" ({Path(f.filename).name} line {f.lineno}, in {f.name})" for f in chosen)


def load_file(path: Path, fresh: bool = False) -> ModuleType:
    """Return the module of a Python file, executed once for each content it and the files beside it have had.

    ``fresh``: executed again, it and the modules beside it that it imports, so that nothing is in it that an earlier
    call of its functions has left.
    """
    _forget_changed(path.parent)
    digest = hashlib.sha256(os.fsencode(path) + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"{FILES_ARE_LOADED_AS}{path.stem}_{digest}"
    if fresh:
        sys.modules.pop(name, None)
        _forget_neighbours(path.parent)
    if name in sys.modules:
        return sys.modules[name]
    loader = _SourceAlone(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    importlib.invalidate_caches()
    sys.modules[name] = module
    try:
        with beside(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


class _SourceAlone(SourceFileLoader):
    """Compiles a file whenever it is loaded.

    Python takes the bytecode that it finds for a file's where size and second of the last change are the same, so that
    two contents of one second are one to it.
    """

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the file as it is now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)  # type: ignore[no-any-return]


class _UsersFiles(FileFinder):
    """Finds a user's modules, but for those whose names are taken: Ray and Keras import the real ones lazily."""

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return where a module lies, None where it is not here."""
        found = super().find_spec(fullname, target)
        return None if found and "." not in fullname and is_taken(fullname) else found


def _finder_within(folder: Path) -> Callable[[str], Any]:
    """Return a hook of ``sys.path_hooks`` by which what lies in a folder is compiled whenever it is loaded."""
    find = _UsersFiles.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (_SourceAlone, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )

    def finder(place: str) -> Any:
        if not _is_users(place, folder):
            raise ImportError(place)
        return find(place)

    return finder


def _is_users(place: str, folder: Path) -> bool:
    """Tell whether a place on the path is a user's, in a folder that may also hold an installed Python."""
    if not place.startswith(str(folder)):
        return False
    path = Path(place)
    installed = _INSTALLED & set(path.parts) or path.is_relative_to(_PYTHONS_OWN)
    return path.is_relative_to(folder) and not installed


def _forget_finders(folder: Path) -> None:
    for place in [place for place in sys.path_importer_cache if _is_users(place, folder)]:
        del sys.path_importer_cache[place]


@contextmanager
def beside(folder: Path) -> Iterator[None]:
    """Let the code in this block import the modules that lie in ``folder``."""
    _forget_changed(folder)
    names = _importable(folder)
    foreign = {
        name: module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in names and _steps_aside(module, folder)
    }
    for name in foreign:
        del sys.modules[name]
    sys.modules.update(_siblings.get(folder, {}))
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    finder = _finder_within(folder)
    sys.path_hooks.insert(0, finder)
    _forget_finders(folder)
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        sys.path_hooks.remove(finder)
        _forget_finders(folder)
        _siblings[folder] = {
            name: module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in names and _within(module, folder)
        }
        places = [place for module in _siblings[folder].values() for place in _places(module)]
        _stamps[folder] = {place: stamp for place in places if (stamp := _stamp(place))}
        _brought_in.setdefault(folder, set()).update(_siblings[folder].keys() - before)
        sys.modules.update(foreign)


def _forget_changed(folder: Path) -> None:
    """Let go of the modules of a folder where one that was imported from it is another file by now.

    One process may run an experiment again, as a notebook does, after the helper of a model was changed.
    """
    if all(_stamp(place) == stamp for place, stamp in _stamps.get(folder, {}).items()):
        return
    for name, module in list(sys.modules.items()):
        if name in _siblings[folder] or (
            name.startswith(FILES_ARE_LOADED_AS) and _within(module, folder)
        ):
            del sys.modules[name]
    del _siblings[folder], _stamps[folder]
    _brought_in.pop(folder, None)


def _stamp(place: Path) -> tuple[int, int] | None:
    try:
        facts = place.stat()
    except OSError:
        return None
    return (facts.st_mtime_ns, facts.st_size) if place.is_file() else None


def _forget_neighbours(folder: Path) -> None:
    """Forget the modules of a folder that its own code has imported, so that they are imported again; keep others'."""
    for name in _brought_in.pop(folder, set()):
        module = _siblings[folder].pop(name, None)
        if module is not None and sys.modules.get(name) is module:
            del sys.modules[name]


def _importable(folder: Path) -> set[str]:
    """Return the top-level names that the files and folders in ``folder`` could be imported as."""
    if not folder.is_dir():
        return set()
    entries = (entry for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir())
    return {entry.stem for entry in entries if entry.stem.isidentifier()} - {_OURS}


def _steps_aside(module: ModuleType, folder: Path) -> bool:
    """Return whether an imported module is another project's, not installed and not Python's."""
    name = module.__name__.partition(".")[0]
    if name in sys.stdlib_module_names or name == "__main__" or _within(module, folder):
        return False
    places = _places(module)
    return bool(places) and not any(_INSTALLED & set(place.parts) for place in places)


def _within(module: ModuleType, folder: Path) -> bool:
    return any(folder in place.parents for place in _places(module))


def _places(module: ModuleType) -> list[Path]:
    """Return where a module lies: its file, or the folders of a namespace package."""
    file = getattr(module, "__file__", None)
    if file:
        return [Path(file)]
    return [Path(place) for place in getattr(module, "__path__", ())]
