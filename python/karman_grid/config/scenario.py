"""The scenario file as typed, frozen tables: demand, timing, events and their defaults.

Owns the shape of a scenario and the meaning of each event kind. Every parameter of `[demand]` and
`[timing]` is written as a plain value or as ``{value = …, source = "…", verified = false}``.
May import: `config.fields`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from karman_grid.config.fields import Duration, Many, Name, Ratio, SchemaVersion, Table, Target

__all__ = [
    "DEMAND_KINDS",
    "EVENT_KINDS",
    "EVENT_RULES",
    "At",
    "Demand",
    "Event",
    "EventRule",
    "Param",
    "ScenarioFile",
    "Timing",
]

DURATION_MAX_S = 7 * 86_400.0
DEMAND_KINDS: dict[str, str] = {
    "inference": "requests arrive and vary; the arrivals fitted to a recorded hour, or a file",
    "training": "near-square waves between compute and communication",
    "constant": "the same demand throughout",
    "file": "arrivals read from the file that `file` names",
}


@dataclass(frozen=True)
class EventRule:
    """What an event kind needs: which targets it takes, whether value and duration are given.

    ``targets`` empty: it has none. ``value`` and ``duration`` are "no", "may" or "must".
    """

    meaning: str
    targets: tuple[str, ...] = ()
    target: Literal["no", "may", "must"] = "no"
    value: Literal["no", "may", "must"] = "no"
    duration: Literal["no", "may", "must"] = "may"
    value_min: float = 0.0
    value_max: float = 1.0
    value_words: str = ""


EVENT_RULES: dict[str, EventRule] = {
    "feed-loss": EventRule(
        "the bus at a UPS's output dies; it returns after duration_s, if given",
        ("element",),
        "must",
    ),
    "source-loss": EventRule(
        "the supply upstream of a UPS dies; the UPS carries on from its battery",
        ("element",),
        "must",
    ),
    "grid-sag": EventRule(
        "the voltage at all UPS inputs falls to value × nominal",
        value="must",
        duration="must",
        value_words="the residual voltage, 0 to 1 of nominal",
    ),
    "controller-kill": EventRule("the controller dies and does not return", duration="no"),
    "agent-silent": EventRule(
        "the agent of a host (a [[device]] row) stops answering; value: of that share of hosts",
        ("device",),
        "may",
        "may",
        value_words="the share of the hosts, 0 to 1",
    ),
    "write-ignored": EventRule(
        "devices acknowledge caps and do not follow; value: that share of the devices",
        ("device",),
        "may",
        "may",
        value_words="the share of the devices, 0 to 1",
    ),
    "write-stuck": EventRule(
        "cap writes to devices never return; value: for that share of the devices",
        ("device",),
        "may",
        "may",
        value_words="the share of the devices, 0 to 1",
    ),
    "meter-frozen": EventRule("a meter repeats what it last measured", ("meter",), "must"),
    "meter-scale": EventRule(
        "a meter reads value × the truth",
        ("meter",),
        "must",
        "must",
        value_max=1000.0,
        value_words="the factor on what it measures, 0 to 1000",
    ),
    "meter-offset": EventRule(
        "a meter adds value × the limit of its element to the power it reads",
        ("meter",),
        "must",
        "must",
        value_min=-100.0,
        value_max=100.0,
        value_words="the share of the element's limit, -100 to 100",
    ),
    "demand-step": EventRule(
        "demand becomes value × the sum of the feed ratings, for duration_s if given",
        value="must",
        value_max=10.0,
        value_words="the demand ÷ sum of the feed ratings, 0 to 10",
    ),
}
EVENT_KINDS: dict[str, str] = {kind: rule.meaning for kind, rule in EVENT_RULES.items()}
"""Every event kind and its meaning in one line."""


class Param[T](Table):
    """One parameter: its value, where it comes from and whether somebody checked it."""

    value: T = Field(description="the value")
    source: Name | None = Field(None, description="where the value comes from")
    verified: bool | None = Field(None, description="whether somebody checked it, true or false")


def _param(value: object) -> object:
    return value if isinstance(value, dict | Param) else {"value": value}


def _default(value: object, words: str) -> Any:
    """A field that is absent from most files: its default is checked like any other value."""
    return Field(value, description=words, validate_default=True)


def _shorthand(plain: Any) -> BeforeValidator:
    """Lets a file write the bare value; the JSON Schema shows both forms."""
    param: Any = Param
    return BeforeValidator(_param, json_schema_input_type=plain | param[plain])


_Milliseconds = Annotated[float, Field(ge=0, le=600_000)]
_Spread = Annotated[float, Field(gt=0, le=600_000)]
_Level = Annotated[float, Field(ge=0, le=10)]
_Scale = Annotated[float, Field(gt=0, le=1e9)]
Flag = Annotated[Param[bool], _shorthand(bool)]
Milliseconds = Annotated[Param[_Milliseconds], _shorthand(_Milliseconds)]
Spread = Annotated[Param[_Spread], _shorthand(_Spread)]
"""Milliseconds above 0: medians of lognormal times, time constants."""
Share = Annotated[Param[Ratio], _shorthand(Ratio)]
Level = Annotated[Param[_Level], _shorthand(_Level)]
Scale = Annotated[Param[_Scale], _shorthand(_Scale)]


class Demand(Table):
    """`[demand]`: what the devices would draw if nothing held them."""

    kind: Literal["inference", "training", "constant", "file"] = Field(
        description="the kind of demand"
    )
    level_ratio: Level | None = Field(
        None,
        description="demand ÷ sum of the feed ratings; absent: what the arrivals make it",
    )
    arrival_scale: Scale | None = Field(
        None, description="requests that one arrival stands for; absent: the generator's own"
    )
    fluctuation_ratio: Share = _default(
        0.0, "standard deviation of the demand of a device around its level"
    )
    file: Name | None = Field(
        None, description='file of arrivals, beside the scenario; kind = "file" only'
    )


class Timing(Table):
    """`[timing]`: how long things take and how they fail."""

    decide_ms: Milliseconds = _default(0.5, "from an event to the command in the mailbox")
    transport_median_ms: Spread = _default(0.3, "median of the way to the agent, lognormal")
    transport_p99_ms: Spread = _default(1.0, "99th percentile of it")
    write_median_ms: Spread = _default(3.0, "median of a cap write, lognormal")
    write_p99_ms: Spread = _default(8.0, "99th percentile of it")
    serialise_per_host: Flag = _default(
        False, "the driver takes the writes of a host one after the other, true or false"
    )
    gpu_dead_time_min_ms: Milliseconds = _default(5.0, "least time from a write to less power")
    gpu_dead_time_max_ms: Milliseconds = _default(25.0, "longest such time")
    gpu_fall_tau_ms: Spread = _default(20.0, "time constant of falling power")
    gpu_overshoot_ratio: Share = _default(0.10, "power above the cap while it settles")
    gpu_rise_tau_ms: Spread = _default(50.0, "time constant of rising power")
    psu_transfer_tau_ms: Spread = _default(
        10.0, "time constant with which the cords left take over the load of a lost one"
    )
    backfeed_tau_max_ms: Milliseconds = _default(
        8.0, "longest time constant of the voltage decay on a lost bus; drawn from 0"
    )
    write_ignored_ratio: Share = _default(0.0, "devices that acknowledge a cap and ignore it")
    write_stuck_ratio: Share = _default(0.0, "writes that never return")


class At(Table):
    """`at_s`: an instant, or the bounds that the seed draws one from."""

    min: Duration = Field(description="earliest instant, s")
    max: Duration = Field(description="latest instant, s")


def _instant(value: object) -> object:
    return value if isinstance(value, dict | At) else {"min": value, "max": value}


class Event(Table):
    """`[[event]]`: something that happens, and when."""

    kind: Literal[
        "feed-loss",
        "source-loss",
        "grid-sag",
        "controller-kill",
        "agent-silent",
        "write-ignored",
        "write-stuck",
        "meter-frozen",
        "meter-scale",
        "meter-offset",
        "demand-step",
    ] = Field(description="one of the kinds that `karman-grid scenarios kinds` lists")
    element: Target | None = Field(None, description="id of an element, or its start and a star")
    device: Target | None = Field(
        None, description="id of a [[device]] row or a device, or its start and a star"
    )
    meter: Target | None = Field(None, description="id of a meter, or its start and a star")
    at_s: Annotated[
        At, BeforeValidator(_instant, json_schema_input_type=float | dict[str, float])
    ] = Field(description="seconds from the start: a number, or {min, max}")
    duration_s: Annotated[float, Field(gt=0, le=DURATION_MAX_S)] | None = Field(
        None, description="how long it lasts, s; absent: to the end of the run"
    )
    value: Annotated[float, Field(ge=-1000, le=1000)] | None = Field(
        None, description="how much: its meaning depends on the kind"
    )


class ScenarioFile(Table):
    """A whole scenario file, `schema = 1`."""

    schema_version: SchemaVersion
    description: Name = Field("", description="one line that says what happens", min_length=0)
    site: Name = Field(description='a site file, or a template: "4n3", "3n2" or "2n"')
    duration_s: Annotated[float, Field(gt=0, le=DURATION_MAX_S)] = Field(
        description="length of the run, s"
    )
    grain: Literal["fine", "adaptive"] = Field(
        "fine", description="fine: 1 ms throughout; adaptive: 1 ms around events only"
    )
    demand: Demand = Field(description="the table [demand]")
    timing: Timing = Field(default_factory=Timing, description="the table [timing]")
    event: Many[Event] = ()
