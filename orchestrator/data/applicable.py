"""Which options of ``data`` go with which kind of source: another one is refused, not overlooked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from orchestrator.data.refusal import refused

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

Source = Literal["csv", "parquet", "frames", "pipelines", "folder", "arrays"]

_WORDS: dict[Source, str] = {
    "csv": "CSV",
    "parquet": "Parquet",
    "frames": "frames",
    "pipelines": "tf.data",
    "folder": "image folders",
}
_TABLES: tuple[Source, ...] = ("csv", "parquet", "frames")
_ONLY: dict[str, tuple[Source, ...]] = {
    "label": _TABLES,
    "drop": _TABLES,
    "missing": _TABLES,
    "columns": _TABLES,
    "sample_weight": _TABLES,
    "decimal": ("csv",),
    "header": ("csv",),
    "steps_per_epoch": ("pipelines",),
    "validation_steps": ("pipelines",),
    "image_size": ("folder",),
    "stream": ("csv", "parquet", "pipelines", "folder"),
}


def check_options(source: Source, options: DataOptions, where: str) -> None:
    """Return when every option that is set means something for the source; DataError otherwise."""
    for key, sources in _ONLY.items():
        value = getattr(options, key)
        if source in sources or key not in options.model_fields_set:
            continue
        if value in ("auto", _default(options, key)):
            continue
        *others, last = (_WORDS[one] for one in sources)
        words = f"{', '.join(others)} and {last}" if others else last
        expected = f"data.{key} was expected for {words} alone"
        raise refused(where, expected, f"{key} {value!r}")


def _default(options: DataOptions, key: str) -> object:
    return type(options).model_fields[key].get_default(call_default_factory=True)
