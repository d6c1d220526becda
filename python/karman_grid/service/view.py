"""What the service shows: the status document of the API, made from the engine's snapshot.

Owns its keys (frozen: see the reference page on the API) and the hash of the configuration.
May import: `engine`, `config`.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

__all__ = ["config_hash", "status_document"]


def config_hash(*documents: Mapping[str, Any]) -> str:
    """SHA-256 over the resolved documents, keys sorted: equal hashes, equal documents."""
    text = json.dumps(documents, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def status_document(
    snapshot: Mapping[str, Any], *, site: str, mode: str, version: str, digest: str
) -> dict[str, Any]:
    """The answer of ``GET /api/v1/status``; ``snapshot`` as `LiveHall.status` gives it."""
    feeds = [
        {
            "id": element["id"],
            "power_w": element["power_w"],
            "limit_w": element["limit_w"],
            "state": _state(element),
            "accumulator_ratio": element["path_accumulator_ratio"],
        }
        for element in snapshot["elements"]
        if element["kind"] == "feed"
    ]
    return {
        "site": site,
        "mode": mode,
        "version": version,
        "config_hash": digest,
        "at_unix_ns": time.time_ns(),
        "load_w": sum(feed["power_w"] or 0.0 for feed in feeds),
        "rating_w": sum(feed["limit_w"] for feed in feeds),
        "grant_w": snapshot["grant_w"],
        "grant_ratio": snapshot["grant_ratio"],
        "binding": snapshot["binding"],
        "contingencies_armed": snapshot["contingencies_armed"],
        "agents": snapshot["agents"],
        "feeds": feeds,
        "latency_ms": snapshot["latency_ms"],
        "last_event": snapshot["last_event"],
        "control": snapshot["control"],
        "lease_ms": snapshot["lease_ms"],
        "escalations": snapshot["escalations"],
        "unsafe": snapshot["unsafe"],
        "trips": snapshot["trips"],
    }


def _state(element: Mapping[str, Any]) -> str:
    if element["lost"]:
        return "lost"
    if element["power_w"] is None:
        return "blind"
    return "on_battery" if element["on_battery"] else "line"
