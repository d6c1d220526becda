"""Reading a TOML file that anybody may have written: bytes → text → tables.

Owns every way in which a file can fail before its content matters: missing, a directory, no
permission, too large (refused before it is parsed), empty, binary, no TOML. Each is one
`ConfigError`, never a traceback. May import: `errors`, `config.problems`.
"""

from __future__ import annotations

import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from karman_grid.config.problems import one_line, printable
from karman_grid.errors import ConfigError

__all__ = ["FILE_BYTES_MAX", "Document", "parse_document", "read_document"]

FILE_BYTES_MAX = 8 * 1024 * 1024
"""Largest file that is read: ten times the file of a hall with 10,000 GPUs."""

_AT_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True)
class Document:
    """A parsed file: its name for messages, its text and its tables."""

    name: str
    text: str
    raw: dict[str, Any]


def read_document(path: str | os.PathLike[str]) -> Document:
    """Reads and parses the TOML file at ``path``.

    Raises:
        ConfigError: for whatever keeps the file from being read as TOML.
    """
    name = printable_path(path)
    return parse_document(name, _read_text(Path(path), name))


def printable_path(path: str | os.PathLike[str]) -> str:
    """``path`` as it is shown in messages: on one line, whatever it holds."""
    return one_line(os.fspath(path))


def parse_document(name: str, text: str) -> Document:
    """Parses ``text``; ``name`` stands for the file in messages."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise ConfigError(f"{name}: found an empty file, expected TOML with schema = 1")
    try:
        return Document(name, text, tomllib.loads(text))
    except RecursionError:
        raise ConfigError(
            f"{name}: found values nested too deeply to read, expected TOML tables"
        ) from None
    except ValueError as error:
        raise ConfigError(_syntax(name, text, str(error))) from None


def _syntax(name: str, text: str, message: str) -> str:
    """A TOML error as one line: position first, then what the parser met."""
    at = _AT_LINE.search(message)
    if at is not None:
        line, column = int(at[1]), f" column {at[2]}"
        message = _AT_LINE.sub("", message)
    elif "end of document" in message:
        line, column = text.count("\n", 0, len(text.rstrip())) + 1, ""
        message = "the file ends inside a value: " + message.replace("(at end of document)", "")
    else:
        line, column = 0, ""
    where = f"{name}:{line}" if line else name
    return f"{where}: TOML syntax:{column} found {_met(message, text, line)}, expected valid TOML"


def _met(message: str, text: str, line: int) -> str:
    shown = printable(message.strip())
    if not line:
        return shown
    rows = text.split("\n")
    row = printable(rows[line - 1].strip()) if line <= len(rows) else ""
    return f"`{row}` ({shown})" if row else shown


def _read_text(path: Path, name: str) -> str:
    try:
        # Opening a named pipe waits for a writer; those that a shell hands over have one.
        handed_over = os.fspath(path).startswith(("/dev/", "/proc/"))
        if not handed_over and stat.S_ISFIFO(path.stat().st_mode):
            raise ConfigError(f"{name}: found a named pipe, expected a TOML file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_size > FILE_BYTES_MAX:
                raise ConfigError(_too_large(name, f"{status.st_size:,} bytes"))
            data = file.read(FILE_BYTES_MAX + 1)
    except IsADirectoryError:
        message = f"{name}: found a directory, expected a TOML file"
        raise ConfigError(message) from None
    except FileNotFoundError:
        raise ConfigError(f"{name}: found no such file, expected a TOML file") from None
    except PermissionError:
        message = f"{name}: found no permission to read it, expected a readable TOML file"
        raise ConfigError(message) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigError(
            f"{name}: found that it cannot be read ({reason}), expected a TOML file"
        ) from None
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(_too_large(name, f"more than {FILE_BYTES_MAX:,} bytes"))
    return _decoded(data, name)


def _too_large(name: str, size: str) -> str:
    return f"{name}: found {size}, expected at most {FILE_BYTES_MAX:,} bytes (8 MiB)"


def _decoded(data: bytes, name: str) -> str:
    zero = data.find(b"\0")
    if zero >= 0:
        raise ConfigError(
            f"{name}: found binary data (a zero byte at offset {zero}), expected TOML text in UTF-8"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}:{line}: found a byte that is not UTF-8 (0x{data[error.start]:02x}), "
            "expected TOML text in UTF-8"
        ) from None
