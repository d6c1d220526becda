"""The words of the site templates: what each section is for, and where its defaults come from.

Owns text that a facility engineer reads, and the curves, which are the same in every template.
May import: nothing of ours.
"""

from __future__ import annotations

__all__ = ["CURVES", "HEADS", "number"]


def number(value: float) -> str:
    """A TOML number: whole ones with `_` between thousands, others to the last digit."""
    return f"{int(value):_}" if float(value).is_integer() else repr(float(value))


HEADS: dict[str, str] = {
    "file": """\
# {title}.
# {racks} racks of two servers with eight GPUs each: {gpus} GPUs.
#
# A karman-grid site file. Every key carries its unit: rating_w is in watts, restore_hold_s in
# seconds. Unknown keys are refused. After an edit run:  karman-grid check THIS-FILE
# "unverified" marks a figure that nobody has checked against your equipment: replace it.

schema = 1
""",
    "site": """\
# --- The site as a whole -------------------------------------------------------------------------
[site]
name = {name}
# Line to neutral: 277 V is a 480 V system, line to line (North America); elsewhere 230 V, 50 Hz.
nominal_v = {nominal_v}
nominal_hz = {nominal_hz}
# What the utility contract allows at the connection point. Default: the sum of the feed ratings and
# 25 %, for after an event on battery UPSs take 10 to 25 % more to recharge (unverified).
contract_w = {contract_w}
# How fast the total of caps may rise and fall; protective cuts are not slowed. Defaults: 5 % and
# 10 % of the feed ratings per second, quick enough to be watched; no utility's figure, unverified.
ramp_up_w_per_s = {ramp_up_w_per_s}
ramp_down_w_per_s = {ramp_down_w_per_s}
# Caps rise again this long after a lost feed is healthy. Default of karman-grid, unverified.
restore_hold_s = {restore_hold_s}
# true: after a reboot a server's jobs wait until its agent holds a lease. It is a promise about
# your scheduler; without it, and without power-on ceilings, no reserve may be used at all.
jobs_wait_for_lease = {jobs_wait_for_lease}
# Largest error of the load sharing between the two cords of a rack, 0.02 = 2 %. Every percent costs
# reserve: measure it. Default of karman-grid, unverified.
psu_sharing_error = {psu_sharing_error}
# mode is "shadow" (decide and show, write nothing) or "active". Left out, it is active only while
# every actuator below belongs to the twin: a site with real equipment starts in the shadow.
""",
    "element": """\
# --- The power path, from the utility down -------------------------------------------------------
# parents names what feeds an element. A feed is the bus at a UPS's output and all below it.
# Give one of rating_w (W), rating_va (VA) or rating_a (A a phase). continuous_ratio = 1.0: these
# breakers are marked for 100 % of their rating; others carry 0.8 of it for three hours or more.
# Losing a ups, a feed or a pdu is a contingency that the hall must survive at any time.
""",
    "rack": """\
# --- Racks and what is in them -------------------------------------------------------------------
# cords: the elements that a rack is plugged into, and its share on each in normal operation.
# psu_rating_w: supplies behind that cord; here three of 3.3 kW for each server and side (DGX H100
# user guide, six supplies a system; unverified). In a skewed hall it grows with the rack.
# Devices: cap_min_w and cap_max_w are the limits that a GPU takes, each (H100 SXM: 200 to 700 W,
# from nvidia-smi output in the DGX guides; unverified). fixed_w is what no cap reaches: fans,
# processors, network (2.6 to 2.9 kW for a DGX H100, estimate; unverified).
# tier: 0 is served first when power is short.
""",
    "meter": """\
# --- Meters --------------------------------------------------------------------------------------
# Waveform instruments: three voltages and three currents, 32,000 samples a second each.
# ups_output sees a lost feed; ups_input sees what the grid does.
""",
    "ports": """\
# --- Who reads, who writes -----------------------------------------------------------------------
# adapter = "twin" is the simulated hall. Replace it by adapters of your equipment one at a time.
[[source]]
id = "twin-meters"
adapter = "twin"

# Nothing is ever written through an actuator without write = true.
[[actuator]]
id = "twin-gpus"
adapter = "twin"
write = true
""",
}

CURVES = """\
# --- How long an overload is tolerated -----------------------------------------------------------
# points: [load as a share of the rating, seconds], log-linear between; no trip below the first.
# These curves decide how much reserve may be used. Put in those of your own units.
[[curve]]
id = "ups-line"
quantity = "power"
mode = "line"
points = [[1.05, 3600.0], [1.10, 60.0], [1.25, 15.0], [1.33, 10.0], [1.50, 1.5]]
source = "assumed default"
verified = false

[[curve]]
id = "ups-battery"
quantity = "power"
mode = "battery"
points = [[1.05, 3600.0], [1.10, 60.0], [1.25, 15.0], [1.33, 10.0], [1.50, 1.5]]
source = "assumed default, the same as on line; some units stop at once on battery"
verified = false

[[curve]]
id = "ups-bypass"
quantity = "power"
mode = "bypass"
points = [[1.25, 120.0], [1.5, 10.0], [7.0, 0.083]]
source = "Staco FirstLine manual 003-2323 p. 28, via reference"
verified = false

# Electronic trip unit, long delay t1 = 18 s at 3 x its setting: t = 18 s x (3 / load)^2, from the
# upper end of the pickup band (1.20) to 3.0.
[[curve]]
id = "breaker-feed"
quantity = "current"
points = [[1.2, 112.5], [1.25, 103.68], [1.33, 91.58], [1.5, 72.0], [2.0, 40.5], [3.0, 18.0]]
source = "Huawei FusionPower6000 line-up settings p. 6 (t1 18 s at 3 x), via reference"
verified = false

[[curve]]
id = "breaker-pdu"
quantity = "current"
points = [[1.2, 112.5], [1.25, 103.68], [1.33, 91.58], [1.5, 72.0], [2.0, 40.5], [3.0, 18.0]]
source = "Huawei FusionPower6000 line-up settings p. 6 (t1 18 s at 3 x), via reference"
verified = false
"""
