"""The API of a running service: documents, errors, headers, metrics, and who may connect."""

from __future__ import annotations

import contextlib
import json
import math
import re
import socket
import time
from pathlib import Path

import pytest

from tests.service.command import Running
from tests.service.prometheus import parse

STATUS_KEYS = {
    *("site", "mode", "version", "config_hash", "at_unix_ns", "load_w", "rating_w", "grant_w"),
    *("grant_ratio", "binding", "contingencies_armed", "agents", "feeds", "latency_ms"),
    "last_event",
}
LATENCIES = {"detect", "decide", "deliver", "settle", "react", "react_event", "react_all"}


@pytest.fixture(scope="module")
def service(shared_service: Running) -> Running:
    return shared_service


def test_the_first_status_comes_within_3_s(service: Running) -> None:
    print(f"first status {service.first_status_s:.2f} s after start")
    assert service.first_status_s < 3.0


def test_status_has_the_agreed_keys(service: Running) -> None:
    status = service.status()
    assert set(status) >= STATUS_KEYS
    assert status["mode"] in {"active", "shadow"}
    assert re.fullmatch(r"[0-9a-f]{64}", status["config_hash"])
    assert abs(status["at_unix_ns"] - time.time_ns()) < 5_000_000_000
    assert set(status["agents"]) >= {"ready", "total"}
    assert isinstance(status["contingencies_armed"], int)
    assert set(status["binding"]) >= {"contingency", "element", "phase"}
    assert set(status["latency_ms"]) == LATENCIES
    for quantiles in status["latency_ms"].values():
        assert set(quantiles) == {"p50", "p99", "p999", "max", "count"}
        assert quantiles["count"] > 0 or quantiles["p50"] is None
    for feed in status["feeds"]:
        assert set(feed) >= {"id", "power_w", "limit_w", "state", "accumulator_ratio"}
        assert feed["state"] in {"line", "on_battery", "lost", "blind"}
        assert 0 <= feed["accumulator_ratio"] < 1


def test_load_is_the_sum_of_the_feeds(service: Running) -> None:
    for _ in range(5):
        status = service.status()
        powers_w = [feed["power_w"] for feed in status["feeds"]]
        assert math.isclose(status["load_w"], sum(powers_w), rel_tol=1e-12)
        assert 0.5 * status["rating_w"] < status["load_w"] < status["rating_w"]
        time.sleep(0.06)


def test_status_moves(service: Running) -> None:
    first = service.status()
    time.sleep(0.3)
    second = service.status()
    assert second["at_unix_ns"] > first["at_unix_ns"]
    assert [f["power_w"] for f in first["feeds"]] != [f["power_w"] for f in second["feeds"]]


def test_it_is_healthy(service: Running) -> None:
    answer = service.get("/healthz")
    assert (answer.status, answer.body) == (200, "ok\n")


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nope", "GET", 404),
        ("/api/v1/nope", "GET", 404),
        ("/", "GET", 404),
        ("/docs", "GET", 404),
        ("/api/v1/../../etc/passwd", "GET", 404),
        ("/api/v1/status", "POST", 405),
        ("/metrics", "DELETE", 405),
        ("/healthz", "PUT", 405),
    ],
)
def test_errors_are_problem_json(service: Running, path: str, method: str, status: int) -> None:
    answer = service.get(path, method)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) >= {"type", "title", "status", "detail"}
    assert problem["status"] == status


@pytest.mark.parametrize("path", ["/api/v1/status", "/healthz", "/metrics", "/nope"])
def test_every_answer_carries_the_security_headers(service: Running, path: str) -> None:
    headers = service.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


def test_the_api_describes_itself(service: Running) -> None:
    document = service.get("/api/v1/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert set(document["paths"]) == {"/healthz", "/api/v1/status", "/metrics"}
    for path, methods in document["paths"].items():
        assert set(methods) == {"get"}, path


def test_metrics_are_prometheus_text(service: Running) -> None:
    answer = service.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = parse(answer.body)
    assert set(families) >= {"karman_power_watts", "karman_headroom_watts"}
    assert all(name.startswith("karman_") and family.text for name, family in families.items())
    power = families["karman_power_watts"]
    feeds_w = {
        dict(labels)["id"]: value
        for (_, labels), value in power.samples.items()
        if dict(labels)["level"] == "feed"
    }
    assert set(feeds_w) == {feed["id"] for feed in service.status()["feeds"]}
    assert all(dict(labels)["quality"] == "good" for _, labels in power.samples)
    assert 0.5e6 < sum(feeds_w.values()) < 1.0e6
    assert list(families["karman_trips_total"].samples.values()) == [0.0]
    assert 0 < next(iter(families["karman_grant_ratio"].samples.values())) <= 1


def test_only_loopback_is_served(service: Running) -> None:
    port = int(service.address.rsplit(":", 1)[1])
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not Path(table).exists():
            continue
        for row in Path(table).read_text().splitlines()[1:]:
            local, state = row.split()[1], row.split()[3]
            if state == "0A" and int(local.rsplit(":", 1)[1], 16) == port:
                listening.append(local.rsplit(":", 1)[0])
    assert listening == ["0100007F"]


def test_rubbish_on_the_port_harms_nothing(service: Running) -> None:
    port = int(service.address.rsplit(":", 1)[1])
    for rubbish in (b"\0\xff" * 500, b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
            peer.sendall(rubbish)
            peer.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                assert b"Traceback" not in peer.recv(65_536)
    assert service.get("/healthz").status == 200
    assert "Traceback" not in service.text()


def test_memory_stays_below_300_mb(service: Running) -> None:
    time.sleep(max(0.0, 10.0 - _age_s(service)))
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    rss_mb = int(found[1]) * 1024 / 1e6
    print(f"resident memory {rss_mb:.0f} MB after {_age_s(service):.0f} s")
    assert rss_mb < 300


def _age_s(service: Running) -> float:
    run = service.announced()
    assert run is not None
    return (time.time_ns() - run["started_unix_ns"]) / 1e9


def test_run_json_says_where_and_what(service: Running) -> None:
    run = json.loads((service.state / "run.json").read_text())
    status = service.status()
    assert run["pid"] == service.process.pid
    assert run["address"] == f"http://127.0.0.1:{run['port']}"
    assert run["port"] > 0
    assert run["epoch"] == 1
    for key in ("site", "version", "config_hash"):
        assert run[key] == status[key]
    assert run["address"] in service.text()
