"""Request arrivals for the twin: a reader of measured files, and the fitted default.

Owns the columns TIMESTAMP, ContextTokens, GeneratedTokens and every check on them, and the way to
the shipped parameters in `data/workload-2023.toml`. May import: errors. A damaged file raises
ConfigError with `FILE:LINE: column: found …, expected …`, never anything else.
"""

from __future__ import annotations

import datetime
import os
import stat
import tomllib
from array import array
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from karman_grid.errors import ConfigError

__all__ = ["Arrivals", "Workload", "load_workload", "read_arrivals"]

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
FILE_BYTES_MAX = 512 * 1024 * 1024
LINE_CHARS_MAX = 256
TOKENS_MAX = 10_000_000
TIME_EXAMPLE = "a time such as 2023-11-16 18:15:46.680590"


@dataclass(frozen=True)
class Arrivals:
    """Arrivals in order of time; three arrays of one length, at least 1.

    `t_s` (float64) counts from the first row, which is 0; tokens are uint32.
    """

    t_s: NDArray[np.float64]
    context_tokens: NDArray[np.uint32]
    generated_tokens: NDArray[np.uint32]


@dataclass(frozen=True)
class Workload:
    """The shipped parameters, tables as the twin's Rust side reads them.

    `serving` and `arrivals` match `ServingParams` and `ArrivalParams`; `arrival_scale` is the
    number of requests that one arrival stands for.
    """

    name: str
    serving: dict[str, Any]
    arrivals: dict[str, Any]
    arrival_scale: float


def load_workload() -> Workload:
    """Parameters fitted to the measurements of 2023, from the package's own data."""
    text = (resources.files("karman_grid.twin") / "data" / "workload-2023.toml").read_text("utf-8")
    document = tomllib.loads(text)
    return Workload(
        name=document["name"],
        serving=document["serving"],
        arrivals=document["arrivals"],
        arrival_scale=float(document["calibration"]["arrival_scale"]),
    )


def read_arrivals(path: str | os.PathLike[str]) -> Arrivals:
    """Reads a CSV file with the columns of the Azure LLM inference trace.

    Times may carry an offset from UTC (all rows or none) and any number of decimals, of which six
    count; they must not go back. Raises ConfigError for whatever is wrong, at the first place.
    """
    name = Path(path)
    _check_file(name)
    try:
        with name.open(encoding="utf-8-sig", newline="") as file:
            return _read_rows(str(name), file)
    except UnicodeDecodeError as error:
        found = f"the byte 0x{error.object[error.start]:02x}, which is no text"
        raise _wrong(str(name), found, "CSV text in UTF-8") from None
    except OSError as error:
        raise _wrong(str(name), _reason(error), "a readable CSV file") from None


def _wrong(place: str, found: str, expected: str) -> ConfigError:
    return ConfigError(f"{place}: found {found}, expected {expected}")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _shown(text: str) -> str:
    """`text` fit for a message: quoted, escaped, short."""
    quoted = ascii(text)
    return quoted if len(quoted) <= 60 else quoted[:56] + "…'"


def _check_file(path: Path) -> None:
    """What can be told without reading: kind and size."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise _wrong(str(path), "no such file", "a CSV file of arrivals") from None
    except (OSError, ValueError) as error:
        reason = _reason(error) if isinstance(error, OSError) else str(error)
        raise _wrong(str(path), reason, "a CSV file of arrivals") from None
    if stat.S_ISDIR(status.st_mode):
        raise _wrong(str(path), "a directory", "a CSV file of arrivals")
    if not stat.S_ISREG(status.st_mode):
        raise _wrong(str(path), "a device, pipe or socket", "a regular CSV file of arrivals")
    if status.st_size > FILE_BYTES_MAX:
        size = f"{status.st_size / 1048576:,.0f} MiB"
        raise _wrong(str(path), size, f"at most {FILE_BYTES_MAX // 1048576} MiB")
    if status.st_size == 0:
        raise _wrong(str(path), "an empty file", "a header line and rows of arrivals")


def _next_line(name: str, number: int, file: TextIO) -> str | None:
    """The next line without its end, or None at the end of the file."""
    line = file.readline(LINE_CHARS_MAX)
    if not line:
        return None
    if "\0" in line:
        raise _wrong(f"{name}:{number}", "a NUL byte", "CSV text")
    if len(line) == LINE_CHARS_MAX and not line.endswith("\n"):
        raise _wrong(
            f"{name}:{number}",
            f"a line of {LINE_CHARS_MAX} characters or more",
            "three short columns",
        )
    return line.rstrip("\r\n")


def _check_header(name: str, line: str | None) -> None:
    names = [column.strip() for column in (line or "").split(",")]
    if tuple(names) == COLUMNS:
        return
    for wanted, given in zip(COLUMNS, names, strict=False):
        if wanted != given:
            raise _wrong(f"{name}:1: {wanted}", _shown(given), f"the header {','.join(COLUMNS)}")
    found = f"{len(names)} columns"
    raise _wrong(f"{name}:1", found, f"the header {','.join(COLUMNS)}")


def _read_rows(name: str, file: TextIO) -> Arrivals:
    _check_header(name, _next_line(name, 1, file))
    t_us, context, generated = array("q"), array("I"), array("I")
    number, blank_line, last_us = 1, 0, 0
    aware: bool | None = None
    while (line := _next_line(name, number + 1, file)) is not None:
        number += 1
        if not line.strip():
            blank_line = blank_line or number
            continue
        fields = line.split(",")
        if blank_line:
            raise _wrong(f"{name}:{blank_line}", "a blank line between rows", "a row")
        if len(fields) != len(COLUMNS):
            found = f"{len(fields)} column{'s' if len(fields) > 1 else ''}"
            raise _wrong(f"{name}:{number}", found, f"3: {','.join(COLUMNS)}")
        time = _time(name, number, fields[0])
        if aware is None:
            aware = time.tzinfo is not None
        elif aware != (time.tzinfo is not None):
            found = f"{_shown(fields[0])}, {'without' if aware else 'with'} an offset from UTC"
            raise _wrong(f"{name}:{number}: TIMESTAMP", found, "the same form in every row")
        now_us = _microseconds(time)
        if t_us and now_us < last_us:
            back_s = (last_us - now_us) / 1e6
            found = f"{_shown(fields[0])}, {back_s:.6f} s before the row above"
            raise _wrong(f"{name}:{number}: TIMESTAMP", found, "times that do not go back")
        last_us = now_us
        t_us.append(now_us)
        context.append(_tokens(name, number, 1, fields[1]))
        generated.append(_tokens(name, number, 2, fields[2]))
    if not t_us:
        raise _wrong(f"{name}:{number + 1}", "no rows after the header", "at least one arrival")
    micros = np.frombuffer(t_us, dtype=np.int64)
    return Arrivals(
        t_s=(micros - micros[0]).astype(np.float64) / 1e6,
        context_tokens=np.frombuffer(context, dtype=np.uint32).copy(),
        generated_tokens=np.frombuffer(generated, dtype=np.uint32).copy(),
    )


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def _microseconds(time: datetime.datetime) -> int:
    """Since 1970; a time without an offset is taken as UTC, only differences matter."""
    return ((time if time.tzinfo else time.replace(tzinfo=datetime.UTC)) - _EPOCH) // _MICROSECOND


def _time(name: str, number: int, text: str) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        place = f"{name}:{number}: TIMESTAMP"
        raise _wrong(place, _shown(text), TIME_EXAMPLE) from None


def _tokens(name: str, number: int, column: int, text: str) -> int:
    digits = text.strip()
    # int() alone would take signs, underscores and the digits of other scripts.
    if digits.isascii() and digits.isdigit() and len(digits) <= 12:
        count = int(digits)
        if count <= TOKENS_MAX:
            return count
    place = f"{name}:{number}: {COLUMNS[column]}"
    raise _wrong(place, _shown(text), f"a whole number from 0 to {TOKENS_MAX}")
