"""What the options of every target have in common, and the forms in which a file writes them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator
from pydantic_core import PydanticCustomError

from orchestrator.fields import AS_LIST, Options, Text

Texts = Annotated[tuple[Text, ...], Field(strict=False), AS_LIST]


def lines_of(written: Any) -> Any:
    """Turn a block of text into its lines."""
    if isinstance(written, str):
        return [line.rstrip() for line in written.splitlines() if line.strip()]
    return written


Lines = Annotated[Texts, BeforeValidator(lines_of, json_schema_input_type=str | tuple[Text, ...])]
"""A list of lines, or a block of text (``|`` in YAML)."""


def written_as(pattern: str, expected: str) -> BeforeValidator:
    """Return the check that a text has a form, which is said in words where it has not."""

    def check(written: Any) -> Any:
        text = str(written) if isinstance(written, int) and written is not True else written
        if isinstance(text, str) and not re.fullmatch(pattern, text):
            raise PydanticCustomError("written_as", expected)  # type: ignore[arg-type]
        return text

    form = Annotated[str, Field(pattern=f"^{pattern}$")]
    return BeforeValidator(check, json_schema_input_type=form | int)


Line = Annotated[Text, written_as(r"[^\x00-\x1f\x7f]+", "expected text on one line")]
Memory = Annotated[
    Text,
    written_as(r"[1-9][0-9]*(\.[0-9]+)?([kKMGT]i?)?", "expected an amount of memory, such as 16G"),
]
FromEnvironment = Annotated[
    Text,
    written_as(
        r"\$\{ENV:[A-Za-z_][A-Za-z0-9_]*\}",
        "expected ${ENV:NAME}, since a secret is never written into a file that is kept",
    ),
]


class PlaceOptions(Options):
    """Options of every target: where results lie, and which further files are sent."""

    storage: Text | None = Field(
        default=None,
        description="The folder of runs as the target sees it. Default: storage_path, made absolute, on a shared "
        "filesystem.",
    )
    results: Text | None = Field(
        default=None,
        description="The same folder as this machine sees it: a folder, or a URI such as s3://bucket/runs. Default: "
        "storage_path, or unknown if storage differs from it.",
    )
    ship: Texts = Field(
        default=(),
        description="Further files or folders, beside the experiment, that its code reads.",
    )
    excludes: Texts = Field(
        default=(),
        description="Patterns of files in those folders that are not sent, such as *.ckpt.",
    )


class FolderOptions(PlaceOptions):
    """A place that finds what is sent laid down beside the results, in a folder that both see."""

    results: Text | None = Field(
        default=None,
        description="The same folder as this machine sees it. Default: storage_path.",
    )

    @field_validator("storage", "results")
    @classmethod
    def _is_a_folder(cls, written: str | None) -> str | None:
        if written is not None and ("://" in written or not written.isprintable()):
            raise PydanticCustomError(
                "written_as", "expected a folder, which the job and this machine both write into"
            )
        return written
