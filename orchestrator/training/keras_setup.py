"""How Keras is set up in a process: ``keras.json``, Keras's variables, threads, logs. Importing this loads no Keras.

The settings are read as Keras reads them (``keras/src/backend/config.py``), so that what cannot work is refused before
anything starts, and what changes numbers is recorded.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.catalog import CallableReference
from orchestrator.errors import PlaceError, explain

BACKEND = "tensorflow"
MODULES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib"), "torch": ("torch",)}
"""What each backend of Keras imports."""
FLOAT = "float32"
LAYOUTS = ("channels_first", "channels_last")
CUT_SHORT = ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


@dataclass(frozen=True)
class KerasSettings:
    """Keras's settings: the type of weights and of what layers compute, epsilon, the layout of images."""

    floatx: str = FLOAT
    epsilon: float = 1e-7
    image_data_format: str = "channels_last"
    backend: str = BACKEND

    def to_document(self) -> dict[str, Any]:
        """Return them by name."""
        return asdict(self)

    def put_in_force(self) -> None:
        """Put these settings in force in Keras, which is imported by now, whatever this machine's file says."""
        import keras

        keras.config.set_floatx(self.floatx)
        keras.config.set_epsilon(self.epsilon)
        keras.config.set_image_data_format(self.image_data_format)


def settings_file() -> Path:
    """Return where Keras looks for its settings."""
    home = os.environ.get("KERAS_HOME")
    if home is None:
        own = Path("~").expanduser()
        home = str((own if os.access(own, os.W_OK) else Path("/tmp")) / ".keras")  # noqa: S108 (Keras's own)
    return Path(home, "keras.json").expanduser()


def keras_settings(backend: str = BACKEND) -> KerasSettings:
    """Return this machine's settings of Keras, with the experiment's backend.

    Raises PlaceError, naming the fault, where trials cannot train so, or the backend is not installed.
    """
    check_installed(backend)
    file = settings_file()
    told = _told(file)
    settings = KerasSettings(
        **{name: told[name] for name in asdict(KerasSettings()) if name in told}
    )
    if settings.floatx != FLOAT:
        expected = f"expected the type in which trials train, {FLOAT!r}"
        raise PlaceError(
            f"{explain(f'{file}, floatx', expected, settings.floatx)} Write {FLOAT!r} there; another precision is a"
            " model's own, by a dtype policy."
        )
    if settings.image_data_format not in LAYOUTS:
        where = f"{file}, image_data_format"
        raise PlaceError(explain(where, "unknown value", settings.image_data_format, LAYOUTS))
    if not isinstance(settings.epsilon, float):
        raise PlaceError(
            explain(f"{file}, epsilon", "expected a number such as 1e-7", settings.epsilon)
        )
    if backend == BACKEND:  # another one is the experiment's own choice
        _check_backend(file, settings.backend)
    for name in CUT_SHORT:
        if os.environ.get(name):
            expected = (
                "expected not to be set, since it would cut trials short, but only in Keras's fit"
            )
            raise PlaceError(explain(name, expected, os.environ[name]))
    return replace(settings, backend=backend)


def check_installed(backend: str) -> None:
    """Raise PlaceError where a backend's package is not there."""
    absent = [name for name in MODULES[backend] if importlib.util.find_spec(name) is None]
    if absent:
        raise PlaceError(
            f"backend: expected one that is installed here. Received: {backend!r}, without the package {absent[0]}."
            f" Install it: pip install 'orchestrator[{backend}]' (or pip install {backend})."
        )


def check_policy_of_this_process() -> None:
    """Refuse settings that a program has made for itself alone: its trials train in other processes."""
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is None:
        return
    here = config.backend()  # whether trials train on it is asked once the experiment is known
    settings = keras_settings(here if here in MODULES else BACKEND)
    made = {
        "set_dtype_policy": (config.dtype_policy().name, FLOAT),
        "set_floatx": (config.floatx(), settings.floatx),
        "set_epsilon": (config.epsilon(), settings.epsilon),
        "set_image_data_format": (config.image_data_format(), settings.image_data_format),
    }
    for function, (here, there) in made.items():
        if here != there:
            raise PlaceError(
                f"keras.config.{function}: expected {there!r} in this process, as in those that train. Received:"
                f" {here!r}. Call keras.config.{function}({here!r}) in the model's builder, so that each trial does."
            )


def registered_with_keras(own: Sequence[Any]) -> dict[str, Any]:
    """Return those of some functions and classes that this process has registered with Keras, by that name."""
    saving = getattr(sys.modules.get("keras"), "saving", None)
    if saving is None:
        return {}
    known = saving.get_custom_objects().items()
    return {name: value for name, value in known if any(value is each for each in own)}


def _told(file: Path) -> Mapping[str, Any]:
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError):  # as Keras, to which such a file says nothing
        return {}
    if not isinstance(told, dict):
        raise PlaceError(explain(str(file), "expected a JSON object", told))
    return told


def _check_backend(file: Path, in_file: str) -> None:
    """Refuse another backend, by whatever it was chosen; a Keras that is imported already has chosen."""
    variable = os.environ.get("KERAS_BACKEND")
    if variable in _CHOSEN:  # by an earlier run of this process
        variable, in_file = None, BACKEND
    where, chosen = ("KERAS_BACKEND", variable) if variable else (f"{file}, backend", in_file)
    expected = f"expected the backend on which trials train, {BACKEND!r}"
    if chosen != BACKEND:
        way_out = (
            "Set KERAS_BACKEND=tensorflow, or unset it"
            if variable
            else f"Write {BACKEND!r} there, or set KERAS_BACKEND={BACKEND}"
        )
        way_out += f"; to train on it, write 'backend: {chosen}' in the experiment" * (
            chosen in MODULES
        )
        raise PlaceError(f"{explain(where, expected, chosen)} {way_out}.")
    config = getattr(sys.modules.get("keras"), "config", None)
    imported = config.backend() if config is not None else BACKEND
    if imported != BACKEND and imported not in _CHOSEN:
        raise PlaceError(explain("keras, imported in this process", expected, imported))


_CHOSEN: set[str] = set()
"""What ``choose_backend`` has put into KERAS_BACKEND in this process, besides Keras's default."""


def choose_backend(backend: str | None = None) -> None:
    """Say which backend Keras takes where it is imported from now on, and silence TensorFlow's log.

    None: the one that was chosen before, else TensorFlow. What the user says by KERAS_BACKEND gives way to JAX and
    PyTorch, which an experiment names only where they are meant. All that a process which is not a worker may do:
    threads and hidden modules are its owner's.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    now = os.environ.get("KERAS_BACKEND")
    if backend is None:
        os.environ["KERAS_BACKEND"] = now or BACKEND
    elif backend != BACKEND:
        _CHOSEN.add(backend)
        os.environ["KERAS_BACKEND"] = backend
    elif not now or now in _CHOSEN:
        os.environ["KERAS_BACKEND"] = backend


def is_installed(backend: str) -> bool:
    """Return whether a backend's packages are there."""
    return all(importlib.util.find_spec(name) is not None for name in MODULES[backend])


@contextmanager
def without_remarks() -> Iterator[None]:
    """Silence remarks of Keras and TensorFlow on how a saved model is loaded and used, which no user can change.

    Such as that a file has no state of its optimizer, or that batches of a new size are traced.
    """
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"keras\.")
            yield
    finally:
        logger.setLevel(level)


def set_up_keras(threads: int, settings: KerasSettings | None = None) -> None:
    """Import Keras and its backend quietly, with ``threads`` for one operation and a GPU's memory taken as needed.

    ``settings`` are put in force in place of those of this machine; without them the backend is as KERAS_BACKEND has
    it. Raises PlaceError where Keras was imported before, with another backend.
    """
    backend = settings.backend if settings else os.environ.get("KERAS_BACKEND", BACKEND)
    choose_backend(backend)
    if backend == "jax":
        _limit_xla(threads)
    import_keras(backend)
    if settings is not None:
        import keras

        if keras.config.backend() != backend:
            expected = f"expected the backend of the experiment, {backend!r}"
            raise PlaceError(
                f"{explain('keras, imported in this process', expected, keras.config.backend())} Set"
                f" KERAS_BACKEND={backend} before Keras is imported."
            )
        settings.put_in_force()
    if backend == BACKEND:
        _set_up_tensorflow(threads)
    elif backend == "torch":
        _set_up_torch(threads)
    # What the imports made lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()


def import_keras(backend: str) -> None:
    """Import Keras and its backend, without what they look for and no trial uses.

    Keras imports matplotlib and scikit-learn when they are there, for plotting and wrappers, TensorFlow imports JAX for
    its conversion to TensorFlow Lite: two seconds of every process. They are hidden while Keras is imported and can be
    imported as usual afterwards.
    """
    unused = ("matplotlib", "sklearn", *(["jax"] if backend == BACKEND else []))
    hidden = [name for name in unused if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        with without_collecting(), without_startup_log(backend):
            importlib.import_module("keras")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)


def _is_open(descriptor: int) -> bool:
    with suppress(OSError):
        os.fstat(descriptor)
        return True
    return False


STARTUP_LOG = r"^(WARNING: All log messages before absl::InitializeLog|[IW][0-9]{4} .* port\.cc:[0-9]+\] oneDNN)"
"""What TensorFlow logs as it is loaded and no setting silences (tensorflow/tensorflow#100442)."""


@contextmanager
def without_startup_log(backend: str) -> Iterator[None]:
    """Leave ``STARTUP_LOG`` out of what this process writes on stderr; all else arrives, after a crash as well."""
    grep = shutil.which("grep")
    if grep is None or backend != BACKEND or "tensorflow" in sys.modules or not _is_open(2):
        yield
        return
    stderr = os.dup(2)
    command = [grep, "--line-buffered", "-v", "-E", STARTUP_LOG]
    left = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stderr, start_new_session=True)
    assert left.stdin is not None  # noqa: S101
    os.dup2(left.stdin.fileno(), 2)
    left.stdin.close()
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        with suppress(
            subprocess.TimeoutExpired
        ):  # a process that was started meanwhile has its end, too
            left.wait(1.0)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Keep the collector from going again and again through what is being imported, which stays."""
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _limit_xla(threads: int) -> None:
    """Have JAX, which is not imported yet, use so many threads on the CPU (``tsl::port::MaxParallelism``)."""
    for name in ("NPROC", "PJRT_NPROC"):
        os.environ.setdefault(name, str(threads))


def _set_up_torch(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    with suppress(RuntimeError):  # where it works already
        torch.set_num_interop_threads(1)


def _set_up_tensorflow(threads: int) -> None:
    import tensorflow as tf

    # It warns of many programs traced, which is what a search does.
    tf.get_logger().setLevel("ERROR")
    with suppress(RuntimeError):  # where TensorFlow works already, its threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # Graph rewriting costs as much as tracing itself and gains nothing on programs this small.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)


def register_again(builder: CallableReference) -> None:
    """Register with Keras what was registered in the process in which a builder was given."""
    import keras

    for name, value in builder.registered.items():
        package, _, own = name.rpartition(">")
        if package:
            keras.saving.register_keras_serializable(package, own)(value)
