"""The site file as typed, frozen tables: every key, its default and its meaning.

Owns the shape of a site file and the only place where its defaults stand; what the rows mean
together is `check_site`. `resolve_site` turns a site into the plain value that the core reads:
the same tables and keys, every default written out. May import: `config.fields`.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from karman_grid.config.fields import (
    Count,
    Duration,
    Id,
    Ids,
    Many,
    Name,
    NonNegative,
    Phases,
    Positive,
    Ratio,
    SchemaVersion,
    Table,
)

__all__ = [
    "Cord",
    "Curve",
    "Device",
    "Element",
    "Meter",
    "Policy",
    "Port",
    "Rack",
    "Site",
    "SiteTable",
    "resolve_site",
]

CREDIBLE_KINDS = frozenset({"feed", "ups", "pdu"})
TWIN = "twin"
Mode = Literal["shadow", "active"]


class SiteTable(Table):
    """`[site]`: what holds for the whole site."""

    name: Name = Field(description="name of the site")
    nominal_v: Positive = Field(description="nominal voltage, line to neutral, V")
    nominal_hz: Annotated[float, Field(ge=40, le=70)] = Field(
        description="nominal frequency, 50 or 60 Hz"
    )
    contract_w: Positive | None = Field(
        None, description="contracted import at the connection point, W; absent: none declared"
    )
    pcc_step_max_w: Positive | None = Field(
        None, description="largest own load step allowed at the connection point, W (rule 20)"
    )
    ramp_up_w_per_s: Positive | None = Field(
        None, description="fastest rise of the total of caps, W/s; absent: no ramp limit"
    )
    ramp_down_w_per_s: Positive | None = Field(
        None, description="fastest fall of the total of caps other than to protect, W/s"
    )
    restore_hold_s: Duration = Field(
        10.0, description="wait after a feed is healthy again before caps rise, s"
    )
    mode: Mode | None = Field(
        None,
        description='"shadow" or "active"; absent: shadow, unless every actuator is the twin\'s',
    )
    jobs_wait_for_lease: bool = Field(
        False, description="jobs wait for the agent's lease after a reboot, true or false (rule 9)"
    )
    psu_sharing_error: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.02, description="largest deviation of a cord's share from the declared one, 0.02 = 2 %"
    )
    flap_max: Annotated[int, Field(ge=0, le=1000)] = Field(
        3, description="reversals in ten minutes before caps latch low; 0 = off"
    )
    lease_ttl_max_s: Annotated[float, Field(ge=0.5, le=3600)] = Field(
        1.0, description="longest lease given to an agent, s (rule 6: at least 0.5)"
    )
    write_bound_ms: Positive = Field(50.0, description="bound on a cap write, ms (rule 18)")
    settle_bound_ms: Positive = Field(
        1000.0, description="bound on the time from a written cap to watts down, ms (rule 18)"
    )
    cap_excess_ratio: Ratio = Field(
        0.10, description="how far watts may exceed a cap for cap_excess_ms (rule 18)"
    )
    cap_excess_ms: NonNegative = Field(
        50.0, description="how long watts may exceed a cap, ms (rule 18)"
    )
    bare_hosts: Annotated[int, Field(ge=0, le=131_072)] = Field(
        1, description="hosts that one cause can bare of their caps at once (rule 9)"
    )


class Element(Table):
    """`[[element]]`: a piece of the electrical path."""

    id: Id
    kind: Literal[
        "utility",
        "transformer",
        "generator",
        "ups",
        "feed",
        "switchboard",
        "pdu",
        "busway",
        "branch",
        "cooling",
    ] = Field(description="the kind of equipment")
    parents: Ids = Field((), description="ids of the upstream elements, preferred first")
    rating_w: Positive | None = Field(None, description="rating in W")
    rating_va: Positive | None = Field(None, description="rating in VA")
    rating_a: Positive | None = Field(None, description="rating of a phase conductor, A")
    continuous_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.8, description="continuous share of a rating in A: 0.8 unless marked 100 % (rule 11)"
    )
    pf_min: Annotated[float, Field(gt=0, le=1)] = Field(
        0.95, description="lowest power factor expected (rule 11)"
    )
    phases: Phases = 3
    curve: Ids = Field((), description="id of a [[curve]], or a list: at most one for each mode")
    credible: bool | None = Field(
        None, description="its loss is a contingency; absent: true for feed, ups and pdu"
    )

    @property
    def is_root(self) -> bool:
        """Whether power comes from here: a utility or a generator."""
        return self.kind in ("utility", "generator")

    @property
    def is_credible(self) -> bool:
        """Whether its loss is a contingency."""
        return self.kind in CREDIBLE_KINDS if self.credible is None else self.credible

    def limit_w(self, nominal_v: float) -> float | None:
        """Limit in W by rule 11, or ``None`` while no rating is given."""
        if self.rating_w is not None:
            return self.rating_w
        if self.rating_va is not None:
            return self.rating_va * self.pf_min
        if self.rating_a is not None:
            amperes = 0.9 * self.phases * self.rating_a * self.continuous_ratio
            return amperes * nominal_v * self.pf_min
        return None


class Cord(Table):
    """One entry of `cords`: a cord of a rack."""

    element: Id = Field(description="id of the element that the cord is plugged into")
    share: Ratio = Field(description="share of the rack's power in normal operation, 0 to 1")
    psu_rating_w: Positive | None = Field(
        None, description="sum of the ratings of the supplies on this cord, W (rule 13)"
    )


class Rack(Table):
    """`[[rack]]`: a rack and its cords."""

    id: Id
    cords: Annotated[Many[Cord], Field(min_length=1)] = Field(
        description="a list of {element, share}"
    )
    on_loss: Literal["rescale", "transfer", "dark"] = Field(
        "rescale", description="what happens to the share of a lost cord (rule 12)"
    )
    phases: Phases = 3


class Device(Table):
    """`[[device]]`: `count` equal devices of one host."""

    id: Id
    rack: Id = Field(description="id of the rack that holds it")
    count: Count = Field(1, description="how many; above 1 they are id-0, id-1, …")
    kind: Literal["gpu", "server", "other"] = Field(description="the kind of device")
    cap_min_w: NonNegative | None = Field(None, description="lowest cap the hardware takes, W each")
    cap_max_w: Positive | None = Field(None, description="highest cap, W each")
    fixed_w: NonNegative = Field(0.0, description="power that no cap reaches, W each")
    tier: Annotated[int, Field(ge=0, le=255)] = Field(0, description="0 is served first")
    weight: Positive = Field(1.0, description="share within its tier")
    tenant: Name | None = Field(None, description="who pays for it")

    @property
    def is_controllable(self) -> bool:
        """Whether caps reach it."""
        return self.cap_max_w is not None

    @property
    def floor_w(self) -> float:
        """Power of the whole row that no cap takes away, W."""
        return self.count * (self.fixed_w + (self.cap_min_w or 0.0))


class Meter(Table):
    """`[[meter]]`: an instrument, sampled or polled."""

    id: Id
    element: Id = Field(description="id of the element that it measures")
    position: Literal["ups_input", "ups_output", "pdu", "branch"] = Field(
        description="where on the path it sits (rule 1)"
    )
    sample_rate_hz: Annotated[float, Field(gt=0, le=10_000_000)] | None = Field(
        None, description="waveform instruments: samples a second and channel"
    )
    period_s: Annotated[float, Field(gt=0, le=86_400)] | None = Field(
        None, description="polled instruments: seconds between values"
    )
    channels: Annotated[int, Field(ge=1, le=64)] = Field(
        6, description="channels; 6 = three voltages, three currents"
    )
    scale: Annotated[tuple[Positive, Positive], Field(strict=False)] | None = Field(
        None, description="[V, A] at full scale of a 16-bit sample"
    )


class Curve(Table):
    """`[[curve]]`: how long which overload is tolerated."""

    id: Id
    quantity: Literal["power", "current"] = Field(description="what the ratio is taken of")
    mode: Literal["line", "battery", "bypass"] = Field(
        "line", description="mode of a UPS that it holds for; breakers use line"
    )
    points: Annotated[
        Many[Annotated[tuple[Positive, Positive], Field(strict=False)]],
        Field(min_length=2, max_length=1000),
    ] = Field(description="a list of [load_ratio, tolerated_s]: load rising, time falling")
    source: Name = Field(description="where the figures come from")
    verified: bool = Field(description="whether somebody checked them on the unit, true or false")


class Port(Table):
    """`[[source]] [[actuator]] [[workload]] [[program]] [[face]]`: a part behind an adapter.

    Keys of its own are kept and handed to the adapter.
    """

    model_config = ConfigDict(extra="allow")

    id: Id
    adapter: Name = Field(description="entry-point name of an adapter")
    elements: Ids = Field((), description="ids of the elements it serves; none: the whole site")
    devices: Ids = Field((), description="ids of the [[device]] rows it serves; none: all")


class Actuator(Port):
    """`[[actuator]]`: a port that writes, once it is allowed to."""

    write: bool = Field(False, description="whether writing is allowed, true or false")


class Policy(Table):
    """`[[policy]]`: somebody's wish. Keys of its own are kept and handed to the policy."""

    model_config = ConfigDict(extra="allow")

    id: Id
    policy: Name = Field(description="entry-point name of a policy")
    priority: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        description="a whole number, lower is stronger"
    )
    scope: Ids = Field((), description="ids of what it speaks for; none: the whole site")


class Site(Table):
    """A whole site file, `schema = 1`."""

    schema_version: SchemaVersion
    site: SiteTable = Field(description="the table [site]")
    element: Annotated[Many[Element], Field(min_length=1, max_length=4096)] = Field(
        description="at least one [[element]]"
    )
    rack: Many[Rack] = ()
    device: Many[Device] = ()
    meter: Many[Meter] = ()
    curve: Many[Curve] = ()
    source: Many[Port] = ()
    actuator: Many[Actuator] = ()
    workload: Many[Port] = ()
    program: Many[Port] = ()
    face: Many[Port] = ()
    policy: Many[Policy] = ()

    @property
    def mode(self) -> Mode:
        """The mode in force: as written, else active only where the twin owns every actuator."""
        if self.site.mode is not None:
            return self.site.mode
        twin_only = all(port.adapter == TWIN for port in self.actuator)
        return "active" if self.actuator and twin_only else "shadow"

    @property
    def feed_rating_w(self) -> float:
        """Sum of the limits of the feeds, W: what `level_ratio` is taken of."""
        limits = (e.limit_w(self.site.nominal_v) for e in self.element if e.kind == "feed")
        return sum(limit for limit in limits if limit is not None)


CORE_TABLES = ("site", "element", "rack", "device", "meter", "curve", "source", "actuator")


def _plain(value: Any) -> Any:
    """``value`` as JSON has it: dates of adapters' own keys become ISO texts."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return value


def resolve_site(site: Site) -> dict[str, Any]:
    """The site as the core reads it: JSON-able, every default written out, absent keys left out.

    Mode and credibility are decided here. The tables that only Python reads (workload, program,
    face, policy) are left out.
    """
    dumped = site.model_dump(by_alias=True)
    dumped["site"]["mode"] = site.mode
    for row, element in zip(dumped["element"], site.element, strict=True):
        row["credible"] = element.is_credible
    for row in dumped["source"]:
        row["write"] = False
    plain: dict[str, Any] = _plain({key: dumped[key] for key in ("schema", *CORE_TABLES)})
    return plain
