"""What the fields of an experiment are made of: strict values, and the ways a file writes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WrapSerializer
from pydantic_core import PydanticCustomError


class Options(BaseModel):
    """One section of the file: typed, frozen, and without room for an unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _whole(value: Any) -> Any:
    """Let ``1e3`` through as 1000, since a file may write a whole number so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_AtLeast0 = Annotated[int, Field(ge=0, lt=2**32)]
_AtLeast1 = Annotated[int, Field(ge=1)]
Whole = Annotated[_AtLeast0, BeforeValidator(_whole, json_schema_input_type=_AtLeast0)]
Count = Annotated[_AtLeast1, BeforeValidator(_whole, json_schema_input_type=_AtLeast1)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Shrinking = Annotated[Real, Field(gt=0, lt=1)]  # a factor that makes a thing smaller
Flag = Annotated[bool, Field(strict=False)]  # on, off, yes and no are words in YAML 1.2
Text = Annotated[str, Field(min_length=1)]
AS_LIST = WrapSerializer(lambda values, write: list(write(values)))  # a tuple, in JSON's terms


def field_error(path: tuple[str, ...], expected: str, received: Any) -> PydanticCustomError:
    """Return the refusal of a key whose value does not go with the others'."""
    return PydanticCustomError("field_error", expected, {"path": path, "received": received})  # type: ignore[arg-type]
