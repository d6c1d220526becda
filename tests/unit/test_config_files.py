"""Files that cannot be read as TOML, positions in those that can, and no input that crashes."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from karman_grid.config import (
    ConfigError,
    load_scenario,
    load_site,
    open_site,
    parse_site,
    render_template,
    resolve_site,
)
from karman_grid.config.files import FILE_BYTES_MAX
from karman_grid.config.load import parse_scenario
from karman_grid.config.locate import Locator

from tests.unit.test_config_site import GOOD

LOADERS = [load_site, load_scenario, open_site]
# Bytes of the file, and the message after its name.
BROKEN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", ": found an empty file, expected TOML with schema = 1"),
    "blank": (b" \n\t\n", ": found an empty file, expected TOML with schema = 1"),
    "zero bytes": (
        b"schema = 1\n\0",
        ": found binary data (a zero byte at offset 11), expected TOML text in UTF-8",
    ),
    "not UTF-8": (
        b"schema = 1\n[site]\nname = '\xff'\n",
        ":3: found a byte that is not UTF-8 (0xff), expected TOML text in UTF-8",
    ),
    "no value": (
        b"schema = 1\n[site\n",
        ":2: TOML syntax: column 6 found `[site` (Expected ']' at the end of a table "
        "declaration), expected valid TOML",
    ),
    "key twice": (
        b"schema = 1\nschema = 1\n",
        ":2: TOML syntax: column 11 found `schema = 1` (Cannot overwrite a value), "
        "expected valid TOML",
    ),
    "nested without end": (
        b"a = " + b"[" * 100_000,
        ": found values nested too deeply to read, expected TOML tables",
    ),
}


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file(case: str, load: Callable[[Path], object], tmp_path: Path) -> None:
    data, message = BROKEN[case]
    path = tmp_path / "file.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"{path}{message}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("load", LOADERS)
def test_a_missing_file_a_directory_and_a_bad_name(
    load: Callable[[Path], object], tmp_path: Path
) -> None:
    for path, message in (
        (tmp_path / "no.toml", "found no such file, expected a TOML file"),
        (tmp_path, "found a directory, expected a TOML file"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path)
        assert str(caught.value) == f"{path}: {message}"
    for name in ("a\0b.toml", "x" * 5000 + ".toml"):
        with pytest.raises(ConfigError, match=r"cannot be read"):
            load(tmp_path / name)


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.toml"
    with path.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    expected = "found 104,857,600 bytes, expected at most 8,388,608 bytes (8 MiB)"
    assert str(caught.value) == f"{path}: {expected}"


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="found more than 8,388,608 bytes"):
        load_site("/dev/zero")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "secret.toml"
    path.write_text(GOOD, encoding="utf-8")
    path.chmod(stat.S_IWUSR)
    with pytest.raises(ConfigError, match="found no permission to read it"):
        load_site(path)


def test_no_permission_is_told_whoever_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "s.toml").write_text(GOOD, encoding="utf-8")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError) as caught:
        load_site(tmp_path / "s.toml")
    found = "found no permission to read it, expected a readable TOML file"
    assert str(caught.value) == f"{tmp_path / 's.toml'}: {found}"


def test_windows_line_ends_and_a_byte_order_mark_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_site(path) == parse_site(GOOD)
    path.write_bytes(GOOD.replace('id = "r01"', 'idd = "r01"').replace("\n", "\r\n").encode())
    with pytest.raises(ConfigError, match=r"site\.toml:27: rack\[0\]\.idd"):
        load_site(path)


def test_control_characters_never_reach_the_terminal(tmp_path: Path) -> None:
    text = GOOD.replace('name = "small"', 'name = 3\n"\\u001b[2J" = 1')
    with pytest.raises(ConfigError) as caught:
        parse_site(text, "s.toml")
    assert all(c.isprintable() or c == "\n" for c in str(caught.value))
    path = tmp_path / "new\nline.toml"
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    assert "\n" not in str(caught.value)


LOCATED = """\
# a comment with [brackets] = "x"
top = 1
"quoted key" = { in = 1, deep.er = [1,
  2] }

[a.b]
text = '''
[not.a.table]
x = 1
'''
dotted.key = "a # b"
[[row]]
x = 1 # note
[[row.sub]]
y = \"\"\"one \\"\"\" line\"\"\"
[[row]]
points = [
  [1, 2], # first
  [3, 4],
]
[[row.sub]]
[[row.sub]]
z = 1979-05-27T07:32:00Z
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("quoted key", "in"), 3),
        (("quoted key", "deep", "er", 1), 4),
        (("a", "b"), 6),
        (("a", "b", "text"), 7),
        (("a", "b", "dotted", "key"), 11),
        (("row", 0, "x"), 13),
        (("row", 0, "sub", 0, "y"), 15),
        (("row", 1), 16),
        (("row", 1, "points", 1), 19),
        (("row", 1, "sub", 1, "z"), 23),
        (("row", 1, "missing"), 16),
        (("not", "a", "table"), None),
        ((), None),
    ],
)
def test_locator(path: tuple[str | int, ...], line: int | None) -> None:
    assert Locator(LOCATED).line(path) == line


def paths_in(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every path of a parsed file."""
    inner: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))
    return [path, *(p for key, child in inner for p in paths_in(child, (*path, key)))]


@pytest.mark.parametrize("text", [LOCATED, GOOD, render_template("4n3", racks=12)])
def test_locator_knows_every_path_that_the_parser_finds(text: str) -> None:
    locator = Locator(text)
    rows = text.split("\n")
    for path in paths_in(tomllib.loads(text))[1:]:
        line = locator.line(path)
        assert line is not None
        assert locator._lines is not None
        assert path in locator._lines or path[:-1] in locator._lines
        key = path[-1]
        if isinstance(key, str) and path in locator._lines:
            assert key in rows[line - 1]


TOKENS = st.sampled_from(
    ["[", "]", "[[", "]]", "{", "}", "=", ",", ".", "\n", '"', "'", '"""', "#", "\\", " ", "-", "é",
     "nan", "inf", "true", "1", "1e400", "0x1F", "1979-05-27", "site", "element", "rack", "device",
     "id", "kind", "cords", "rating_w", "schema = 1\n", "schema", "event", "timing", "demand"]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(["feed-a", "ups-a", "r01", "utility", "6 MW", "ups"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def only_config_error(call: Callable[[], object]) -> None:
    """Runs ``call``; whatever is wrong with its input comes as one screen."""
    try:
        call()
    except ConfigError as error:
        told = str(error)
        assert told
        assert len(told.split("\n")) <= 21
        assert "Traceback" not in told


@settings(max_examples=150)
@given(st.binary(max_size=200) | st.lists(TOKENS, max_size=40).map("".join).map(str.encode))
@example(b"a = 1" + b"0" * 5000)
@example(b"schema = 1\na.b.c = {d = [1, {e = 2}]}\n")
def test_no_bytes_crash_the_loaders(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.toml"
    path.write_bytes(data)
    only_config_error(lambda: load_site(path))
    only_config_error(lambda: load_scenario(path))


@settings(max_examples=150)
@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.lists(TOKENS, max_size=6).map("".join))
def test_no_edit_of_a_good_file_crashes(at: int, cut: int, new: str) -> None:
    text = GOOD[:at] + new + GOOD[at + cut :]
    only_config_error(lambda: resolve_site(parse_site(text)))


def toml(value: Any) -> str:
    """``value`` as inline TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str) or value is None:
        escaped = "".join(f"\\U{ord(c):08x}" for c in value or "")
        return f'"{escaped}"' if "\\U0000d" not in escaped else '"surrogate"'
    return str(value)


SCENARIO = """\
schema = 1
site = "4n3"
duration_s = 25
[demand]
kind = "constant"
level_ratio = 0.9
[timing]
decide_ms = 0.5
[[event]]
kind = "grid-sag"
at_s = 5
duration_s = 1
value = 0.7
"""


@settings(max_examples=300)
@given(st.data())
def test_no_value_anywhere_crashes_the_checks(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([GOOD, SCENARIO]))
    lines = text.split("\n")
    keyed = [i for i, line in enumerate(lines) if " = " in line and not line.startswith(" ")]
    for index in data.draw(st.lists(st.sampled_from(keyed), min_size=1, max_size=3)):
        key = lines[index].split(" = ")[0]
        lines[index] = f"{key} = {toml(data.draw(VALUES))}"
    edited = "\n".join(lines)
    if text == GOOD:
        only_config_error(lambda: resolve_site(parse_site(edited)))
    else:
        only_config_error(lambda: parse_scenario(edited))


def test_the_bound_leaves_room_for_the_largest_template() -> None:
    assert 2 * len(render_template("4n3", racks=4096)) < FILE_BYTES_MAX
