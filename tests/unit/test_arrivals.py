"""The arrivals reader against sound and damaged files, and the shipped workload parameters."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from karman_grid.errors import ConfigError
from karman_grid.twin import arrivals as module
from karman_grid.twin.arrivals import load_workload, read_arrivals

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
FIRST = "2023-11-16 18:15:46.6805900,374,44\n"
SECOND = "2023-11-16 18:15:50.9951690,396,109\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "arrivals.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_reads_rows_with_times_from_the_first(tmp_path):
    got = read_arrivals(write(tmp_path, HEADER + FIRST + SECOND))
    np.testing.assert_allclose(got.t_s, [0.0, 4.314579], atol=1e-9)
    assert got.context_tokens.tolist() == [374, 396]
    assert got.generated_tokens.tolist() == [44, 109]
    assert got.t_s.dtype == np.float64
    assert got.context_tokens.dtype == got.generated_tokens.dtype == np.uint32


@pytest.mark.parametrize(
    "text",
    [
        (HEADER + FIRST + SECOND).replace("\n", "\r\n"),
        (HEADER + FIRST + SECOND).rstrip("\n"),
        HEADER + FIRST + SECOND + "\n \n",
        "\ufeff" + HEADER + FIRST + SECOND,
        HEADER + FIRST.replace("374,44", " 374 , 44 ") + SECOND,
        HEADER + FIRST.replace(",374", "+00:00,374") + SECOND.replace(",396", "+00:00,396"),
        HEADER
        + FIRST.replace(",374", "+01:00,374")
        + SECOND.replace(" 18:", " 17:").replace(",396", "+00:00,396"),
    ],
    ids=["crlf", "no-last-newline", "blank-end", "bom", "spaces", "utc", "offsets"],
)
def test_harmless_forms_read_the_same(tmp_path, text):
    got = read_arrivals(write(tmp_path, text))
    np.testing.assert_allclose(got.t_s, [0.0, 4.314579], atol=1e-9)
    assert got.context_tokens.tolist() == [374, 396]


def test_equal_times_are_in_order(tmp_path):
    assert read_arrivals(write(tmp_path, HEADER + FIRST + FIRST)).t_s.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "line", "parts"),
    [
        ("time,ContextTokens,GeneratedTokens\n" + FIRST, ":1: TIMESTAMP: ", ["'time'", "header"]),
        ("TIMESTAMP,Context,GeneratedTokens\n" + FIRST, ":1: ContextTokens: ", ["'Context'"]),
        ("TIMESTAMP,ContextTokens\n" + FIRST, ":1: ", ["2 columns", "header"]),
        (FIRST + SECOND, ":1: TIMESTAMP: ", ["2023-11-16", "header"]),
        ("\n" + HEADER + FIRST, ":1: TIMESTAMP: ", ["''"]),
        (HEADER + FIRST + SECOND.replace("396", "many"), ":3: ContextTokens: ", ["'many'"]),
        (HEADER + FIRST.replace(",44", ",-44"), ":2: GeneratedTokens: ", ["'-44'", "from 0"]),
        (HEADER + FIRST.replace("374", "-1"), ":2: ContextTokens: ", ["'-1'"]),
        (HEADER + FIRST.replace("374", "37.4"), ":2: ContextTokens: ", ["'37.4'"]),
        (HEADER + FIRST.replace("374", "3_7"), ":2: ContextTokens: ", ["'3_7'"]),
        (HEADER + FIRST.replace("374", "٣"), ":2: ContextTokens: ", ["u0663"]),
        (HEADER + FIRST.replace("374", ""), ":2: ContextTokens: ", ["''"]),
        (HEADER + FIRST.replace("374", "nan"), ":2: ContextTokens: ", ["'nan'"]),
        (HEADER + FIRST.replace("374", "9" * 9), ":2: ContextTokens: ", ["to 10000000"]),
        (HEADER + FIRST.replace("374", "9" * 99), ":2: ContextTokens: ", ["99", "…"]),
        (HEADER + FIRST.replace(",44", ""), ":2: ", ["2 columns", "expected 3"]),
        (HEADER + FIRST.replace(",44", ",44,1"), ":2: ", ["4 columns"]),
        (HEADER + FIRST + "half a li", ":3: ", ["1 column,"]),
        (HEADER + "yesterday,1,2\n", ":2: TIMESTAMP: ", ["'yesterday'", "2023-11-16"]),
        (HEADER + "2023-02-30 00:00:00,1,2\n", ":2: TIMESTAMP: ", ["2023-02-30"]),
        (HEADER + "1700158546.68,1,2\n", ":2: TIMESTAMP: ", ["1700158546.68"]),
        (HEADER + SECOND + FIRST, ":3: TIMESTAMP: ", ["4.314579 s before", "go back"]),
        (HEADER + FIRST + SECOND.replace(",396", "+00:00,396"), ":3: TIMESTAMP: ", ["with an"]),
        (HEADER + FIRST + "\n" + SECOND, ":3: ", ["blank line"]),
        (HEADER, ":2: ", ["no rows", "at least one"]),
        (HEADER + "x" * 5000 + "\n", ":2: ", ["256 characters"]),
        (HEADER + FIRST + "\0\0\0\0", ":3: ", ["NUL"]),
    ],
)
def test_damage_is_named_with_line_and_column(tmp_path, text, line, parts):
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_arrivals(path)
    message = str(caught.value)
    assert message.startswith(f"{path}{line}found ")
    assert ", expected " in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 200
    assert caught.value.exit_code == 2
    for part in parts:
        assert part in message


def test_binary_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"found the byte 0xff.*expected CSV text"):
        read_arrivals(write(tmp_path, b"\xff\xfe\x00" * 1000))
    with pytest.raises(ConfigError, match="found the byte 0xfe"):
        read_arrivals(write(tmp_path, (HEADER + FIRST).encode() + b"\xfe"))


def test_empty_missing_directory_device(tmp_path):
    with pytest.raises(ConfigError, match="found an empty file"):
        read_arrivals(write(tmp_path, ""))
    with pytest.raises(ConfigError, match="found no such file"):
        read_arrivals(tmp_path / "absent.csv")
    with pytest.raises(ConfigError, match="found a directory"):
        read_arrivals(tmp_path)
    with pytest.raises(ConfigError, match="found a device"):
        read_arrivals("/dev/zero")
    with pytest.raises(ConfigError, match="not a directory"):
        read_arrivals(write(tmp_path, HEADER) / "x")
    with pytest.raises(ConfigError, match="null"):
        read_arrivals("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = write(tmp_path, HEADER + FIRST)
    path.chmod(0)
    with pytest.raises(ConfigError, match="found permission denied"):
        read_arrivals(path)


def test_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(module.FILE_BYTES_MAX + 1)  # sparse: takes no space
    with pytest.raises(ConfigError, match="found 512 MiB, expected at most 512 MiB"):
        read_arrivals(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_damage_ends_in_arrays_or_a_named_error(tmp_path_factory, data):
    sound = (HEADER + FIRST + SECOND + SECOND).encode()
    at = data.draw(st.integers(0, len(sound)))
    size = data.draw(st.integers(0, 8))
    junk = data.draw(st.binary(max_size=8))
    path = tmp_path_factory.getbasetemp() / "damaged.csv"
    path.write_bytes(sound[:at] + junk + sound[at + size :])
    message = ""
    try:
        got = read_arrivals(path)
    except ConfigError as error:
        message = str(error)
    if message:
        assert message.startswith(f"{path}:")
        assert ": found " in message
        assert ", expected " in message
    else:
        assert len(got.t_s) == len(got.context_tokens) == len(got.generated_tokens) >= 1
        assert (np.diff(got.t_s) >= 0).all()


def test_an_hour_of_rows_reads_fast(tmp_path):
    row = "2023-11-16 18:{:02}:{:02}.{:07},1155,211\n"
    rows = [row.format(i // 330, (i // 6) % 55, (i % 6) * 1000) for i in range(19_366)]
    path = write(tmp_path, HEADER + "".join(rows))
    took = []
    for _ in range(3):
        start = time.perf_counter()
        assert len(read_arrivals(path).t_s) == 19_366
        took.append(time.perf_counter() - start)
    assert min(took) < 0.3


def test_measured_file_if_present():
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    data = Path(os.environ.get("KARMAN_GRID_DATA", default))
    path = data / "workload" / "azure_llm_2023_conv.csv"
    if not path.is_file():
        pytest.skip(f"no measured arrivals at {path}")
    got = read_arrivals(path)
    assert len(got.t_s) == 19_366
    assert got.t_s[-1] == pytest.approx(3501.721937, abs=1e-6)
    assert int(got.context_tokens.sum()) == 22_361_870
    assert int(got.generated_tokens.sum()) == 4_088_665


def test_shipped_workload_is_complete():
    workload = load_workload()
    assert workload.name == "azure-llm-2023-conv"
    assert 1.0 < workload.arrival_scale < 1000.0
    assert set(workload.arrivals) == {"rate_period_s", "burst_fast", "burst_slow", "classes"}
    tables = {
        len(workload.serving[f"prefill_{key}"]) for key in ("tokens", "time_s", "power_ratio")
    }
    assert len(tables) == 1
    for part in workload.arrivals["classes"]:
        assert set(part) == {"rate_knots_per_s", "context", "generated"}
        assert len(part["rate_knots_per_s"]) == 12
