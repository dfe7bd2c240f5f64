"""Loading a user's Python file by location, with the modules beside it within its reach.

Nothing here writes ``import models``: a file is executed under a reserved module name, and its
folder is on ``sys.path`` only while its own code runs. People keep ``helper.py`` or ``models/`` in
many projects, so modules of that name from elsewhere step aside meanwhile.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

_OURS = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}
_siblings: dict[Path, dict[str, ModuleType]] = {}
_stamps: dict[Path, dict[Path, tuple[int, int]]] = {}


def load_file(path: Path) -> ModuleType:
    """Return the module of a Python file, executed once for each content it and the files beside it have had."""
    _forget_changed(path.parent)
    digest = hashlib.sha256(str(path).encode() + b"\0" + path.read_bytes()).hexdigest()[:12]
    name = f"_{_OURS}_file_{path.stem}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
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
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        _siblings[folder] = {
            name: module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in names and _within(module, folder)
        }
        places = [place for module in _siblings[folder].values() for place in _places(module)]
        _stamps[folder] = {place: stamp for place in places if (stamp := _stamp(place))}
        sys.modules.update(foreign)


def _forget_changed(folder: Path) -> None:
    """Let go of the modules of a folder where one that was imported from it is another file by now.

    One process may run an experiment again, as a notebook does, after the helper of a model was changed.
    """
    if all(_stamp(place) == stamp for place, stamp in _stamps.get(folder, {}).items()):
        return
    ours = f"_{_OURS}_file_"
    for name, module in list(sys.modules.items()):
        if name in _siblings[folder] or (name.startswith(ours) and _within(module, folder)):
            del sys.modules[name]
    del _siblings[folder], _stamps[folder]


def _stamp(place: Path) -> tuple[int, int] | None:
    try:
        facts = place.stat()
    except OSError:
        return None
    return (facts.st_mtime_ns, facts.st_size) if place.is_file() else None


def _importable(folder: Path) -> set[str]:
    """Return the top-level names that the files and folders in ``folder`` could be imported as."""
    if not folder.is_dir():
        return set()
    entries = (entry for entry in folder.iterdir() if entry.suffix == ".py" or entry.is_dir())
    return {entry.stem for entry in entries if entry.stem.isidentifier()} - {_OURS}


def _steps_aside(module: ModuleType, folder: Path) -> bool:
    """Tell whether an imported module is another project's, not installed and not Python's."""
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
