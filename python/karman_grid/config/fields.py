"""Building blocks of the file models: what a table, an id, a list and a quantity are.

Owns the strictness: unknown keys refused, no text or boolean taken for a number, no NaN or
infinity. Descriptions written here and beside each field are what error messages and the JSON
Schema say. May import: nothing of ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "Count",
    "Duration",
    "Id",
    "Ids",
    "Many",
    "Name",
    "NonNegative",
    "Phases",
    "Positive",
    "Ratio",
    "SchemaVersion",
    "Table",
    "Target",
]

ID_PATTERN = r"^[a-z0-9][a-z0-9.-]{0,62}$"
ID_WORDS = "an id: lower-case letters, digits, '.' and '-', at most 63 of them"
TARGET_PATTERN = r"^([a-z0-9][a-z0-9.-]{0,62}|([a-z0-9][a-z0-9.-]{0,61})?\*)$"
TARGET_WORDS = 'an id, or its start and a star: "feed-*" is one feed, drawn by the seed'
VALUE_MAX = 1e12
"""No quantity of a site comes near it (1 TW); beyond it sums lose whole watts."""


class Table(BaseModel):
    """A TOML table: frozen, unknown keys refused, types taken literally."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Id = Annotated[str, Field(pattern=ID_PATTERN, description=ID_WORDS)]
Target = Annotated[str, Field(pattern=TARGET_PATTERN, description=TARGET_WORDS)]
Ids = Annotated[
    tuple[Id, ...],
    Field(strict=False, description="a list of ids"),
    BeforeValidator(_listed, json_schema_input_type=str | list[str]),
]
"""One id, or a list of them."""
Name = Annotated[str, Field(min_length=1, max_length=200, description="a text")]
Positive = Annotated[float, Field(gt=0, le=VALUE_MAX)]
NonNegative = Annotated[float, Field(ge=0, le=VALUE_MAX)]
Duration = Annotated[float, Field(ge=0, le=31_622_400.0)]
"""Seconds, up to a leap year of them."""
Ratio = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=131_072)]
Phases = Annotated[Literal[1, 3], Field(description="1 or 3 phases")]
SchemaVersion = Annotated[
    int, Field(ge=1, le=1, alias="schema", description="version of the file layout, always 1")
]

type Many[T] = Annotated[tuple[T, ...], Field(strict=False)]
"""TOML arrays become tuples: frozen all the way down."""
