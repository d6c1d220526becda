"""From raw TOML tables to typed models, with pydantic's findings told in our words.

Owns the translation of validation errors. Unions are flattened by the models themselves, so each
error names one key. May import: `config.{fields,problems}`.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from karman_grid.config.fields import ID_WORDS, TARGET_PATTERN, TARGET_WORDS
from karman_grid.config.locate import Path
from karman_grid.config.problems import Report, did_you_mean, found_text, number_hint, suggest_key
from karman_grid.units import unit_of

__all__ = ["keys_of", "validate"]

_COMPARE = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


def keys_of(model: type[BaseModel]) -> list[str]:
    """Keys of a table as they stand in the file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def validate[T: BaseModel](model: type[T], raw: dict[str, Any], report: Report) -> T:
    """``raw`` as ``model``; every problem goes to ``report``, which then raises."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            _tell(model, raw, tuple(item["loc"]), item["type"], item.get("ctx", {}), report)
        report.raise_if_any()
        raise AssertionError("a validation error without an item") from error


def _tell(
    model: type[BaseModel],
    raw: dict[str, Any],
    loc: Path,
    kind: str,
    ctx: dict[str, Any],
    report: Report,
) -> None:
    if report.is_full:
        report.add(loc, "", "")
        return
    path, value = _in_file(raw, loc, missing=kind == "missing")
    key = next((step for step in reversed(path) if isinstance(step, str)), "")
    if kind == "extra_forbidden":
        report.add(path, f'unknown key "{key[:60]}"', _known_keys(model, path, key))
    elif kind == "missing":
        report.add(path, *_missing(model, raw, path))
    else:
        report.add(path, found_text(value), _expected(model, path, key, value, kind, ctx))


def _in_file(raw: dict[str, Any], loc: Path, *, missing: bool) -> tuple[Path, Any]:
    """The part of ``loc`` that the file holds, and the value there.

    A shorthand (`decide_ms = 0.5` for `decide_ms = {value = 0.5}`) makes locations longer than
    the file is deep; a missing key is named although the file does not hold it.
    """
    at: Any = raw
    for depth, step in enumerate(loc):
        inside = (isinstance(at, dict) and step in at) or (
            isinstance(at, list) and isinstance(step, int) and step < len(at)
        )
        if not inside:
            named = missing and isinstance(at, dict | list) and depth == len(loc) - 1
            return (loc, None) if named else (loc[:depth], at)
        at = at[step]
    return loc, at


def _models_in(annotation: Any) -> type[BaseModel] | None:
    """The table model inside an annotation such as `Many[Element]` or `Timing | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    origin = getattr(annotation, "__origin__", None)
    value = getattr(origin, "__value__", None)
    for inner in get_args(annotation) + ((value,) if value is not None else ()):
        found = _models_in(inner)
        if found is not None:
            return found
    return None


def _field(model: type[BaseModel], path: Path) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """The innermost table model that ``path`` leads into, and the field of its last key."""
    table: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for step in path:
        if isinstance(step, int) or table is None:
            continue
        owner = table
        field = next(
            (f for name, f in owner.model_fields.items() if (f.alias or name) == step), None
        )
        if field is None:
            return owner, None
        table = _models_in(field.annotation)
    return table, field


def _known_keys(model: type[BaseModel], path: Path, key: str) -> str:
    owner = _field(model, path[:-1])[0]
    known = keys_of(owner) if owner is not None else []
    meant = suggest_key(key, known)
    if meant is None:
        return "one of " + ", ".join(known)
    unit = unit_of(meant)
    words = f" ({unit.words})" if unit else ""
    return f"a known key; did you mean {meant}{words}?"


def _missing(model: type[BaseModel], raw: dict[str, Any], path: Path) -> tuple[str, str]:
    owner = _field(model, path[:-1])[0]
    field = _field(model, path)[1]
    described = (field.description if field is not None else None) or "a value"
    if isinstance(path[-1], int):
        return "nothing", "one more number"
    around = _in_file(raw, path[:-1], missing=False)[1]
    strays = [k for k in around if owner and k not in keys_of(owner)] if around else []
    meant = next((k for k in strays if suggest_key(str(k), [str(path[-1])])), None)
    found = f'no such key but "{str(meant)[:60]}"' if meant else "nothing"
    return found, described


def _expected(
    model: type[BaseModel], path: Path, key: str, value: Any, kind: str, ctx: dict[str, Any]
) -> str:
    if kind in _COMPARE:
        name, words = _COMPARE[kind]
        bound = ctx[name]
        if key == "schema":
            return "1, the file layout that this version reads"
        return f"{_bare(number_hint(key, None))} {words} {bound:.15g}"
    if kind in ("int_type", "int_from_float", "int_parsing", "int_parsing_size"):
        return "a whole number without quotes" if isinstance(value, str) else "a whole number"
    if kind in ("float_type", "float_parsing"):
        return number_hint(key, value)
    if kind == "finite_number":
        return f"a finite {_bare(number_hint(key, None)).removeprefix('a ')}"
    if kind == "literal_error":
        choices = str(ctx["expected"]).replace("'", '"')
        known = choices.replace('"', "").replace(" or ", ", ").split(", ")
        meant = did_you_mean(value, known) if isinstance(value, str) else ""
        return f"one of {choices}{meant}"
    if kind in ("too_short", "string_too_short", "too_long", "string_too_long"):
        return _length(kind, ctx)
    if kind == "string_pattern_mismatch":
        return TARGET_WORDS if ctx["pattern"] == TARGET_PATTERN else ID_WORDS
    return _by_type(model, path, kind)


def _bare(hint: str) -> str:
    return hint.removesuffix(" without quotes")


def _length(kind: str, ctx: dict[str, Any]) -> str:
    bound = ctx.get("min_length") if kind.endswith("short") else ctx.get("max_length")
    words = "at least" if kind.endswith("short") else "at most"
    thing = "characters" if kind.startswith("string") else "entries"
    return f"{words} {bound} {thing}"


def _by_type(model: type[BaseModel], path: Path, kind: str) -> str:
    plain = {
        "bool_type": "true or false without quotes",
        "model_type": "a table",
        "dict_type": "a table",
        "model_attributes_type": "a table",
        "string_type": "a text in quotes",
    }
    field = _field(model, path)[1]
    if kind == "tuple_type":
        table = _models_in(field.annotation) if field is not None else None
        if table is not None and len(path) == 1:
            return f"tables headed [[{path[0]}]]"
        return "a list" if field is None or not field.description else field.description
    return plain.get(kind, f"a value of another kind ({kind.replace('_', ' ')})")
