//! A hall for tests: utility → 4 × (UPS → feed → PDU) → 64 racks over all six pairs of feeds, two
//! servers of eight GPUs in each, and agents that answer at once.
#![allow(dead_code)]

use karman_grid_core::command::{Ack, Cause, FromAgent, Outcome, ToAgent};
use karman_grid_core::engine::Engine;
use karman_grid_core::ids::{HostIx, MeterIx, RackIx};
use karman_grid_core::lease::{LeaseTable, Write};
use karman_grid_core::sample::{Node, PowerSample, Validity};
use karman_grid_core::shares::{Lost, Shares};
use karman_grid_core::site::SiteSpec;
use karman_grid_core::time::MonoNs;
use karman_grid_core::topology::Topology;
use serde_json::{Value, json};

pub const PAIRS: [(&str, &str, usize); 6] = [
    ("a", "b", 11),
    ("c", "d", 11),
    ("a", "c", 11),
    ("b", "d", 11),
    ("a", "d", 10),
    ("b", "c", 10),
];

/// The 4N/3 hall as a site file value.
pub fn hall() -> Value {
    let mut element = vec![json!({"id": "utility", "kind": "utility", "rating_w": 1.2e6})];
    let mut meter = Vec::new();
    for feed in ["a", "b", "c", "d"] {
        let (ups, bus) = (format!("ups-{feed}"), format!("feed-{feed}"));
        let rated = |id: &str, kind: &str, parent: &str| {
            let parents = [parent];
            json!({"id": id, "kind": kind, "parents": parents, "rating_w": 250e3})
        };
        let mut unit = rated(&ups, "ups", "utility");
        unit["curve"] = json!(["ups-line"]);
        let mut breaker = rated(&bus, "feed", &ups);
        let mut pdu = rated(&format!("pdu-{feed}"), "pdu", &bus);
        breaker["curve"] = json!(["breaker"]);
        pdu["curve"] = json!(["breaker"]);
        element.extend([unit, breaker, pdu]);
        for (id, on, position) in [("m-feed", &bus, "ups_output"), ("m-ups", &ups, "ups_input")] {
            meter.push(json!({"id": format!("{id}-{feed}"), "element": on,
                "position": position, "sample_rate_hz": 32000.0}));
        }
    }
    let (mut rack, mut device) = (Vec::new(), Vec::new());
    for (left, right, count) in PAIRS {
        for _ in 0..count {
            let id = format!("r{:02}", rack.len() + 1);
            let cord = |feed: &str| json!({"element": format!("pdu-{feed}"), "share": 0.5});
            rack.push(json!({"id": id, "cords": [cord(left), cord(right)]}));
            for server in 0..2 {
                let tier = (2 * (rack.len() - 1) + server) % 4;
                device.push(
                    json!({"id": format!("{id}-s{server}-gpu"), "rack": id, "count": 8,
                    "kind": "gpu", "cap_min_w": 200.0, "cap_max_w": 700.0, "tier": tier}),
                );
                device.push(json!({"id": format!("{id}-s{server}"), "rack": id,
                    "kind": "server", "fixed_w": 2800.0}));
            }
        }
    }
    let curve = |id: &str, points: Value| {
        json!({"id": id, "quantity": "power", "points": points, "source": "test",
            "verified": false})
    };
    json!({
        "schema": 1,
        "site": {"name": "hall", "nominal_v": 277.0, "nominal_hz": 60.0, "mode": "active",
            "jobs_wait_for_lease": true, "ramp_up_w_per_s": 50e3},
        "element": element, "rack": rack, "device": device, "meter": meter,
        "curve": [
            curve("ups-line", json!([[1.05, 3600], [1.1, 60], [1.25, 15], [1.33, 10], [1.5, 1.5]])),
            curve("breaker", json!([[1.2, 112.5], [3.0, 18.0]])),
        ],
        "actuator": [{"id": "gpus", "adapter": "twin", "write": true}],
    })
}

/// The topology of a site value.
pub fn topology(site: &Value) -> Topology {
    let spec: SiteSpec = serde_json::from_value(site.clone()).expect("a well-formed site");
    Topology::build(&spec).expect("a site that can be built")
}

/// An engine with agents that obey at once and meters that show what the caps allow.
pub struct Bench {
    pub engine: Engine,
    pub agents: Vec<LeaseTable>,
    pub now: MonoNs,
    pub blind: Vec<MeterIx>,
    /// Host whose agent hears and says nothing.
    pub deaf: Option<HostIx>,
    /// Added to the reading of every load meter, W.
    pub hidden_w: f64,
}

impl Bench {
    pub fn new(site: &Value) -> Bench {
        let engine = Engine::new(topology(site), 1).expect("a feasible site");
        let agents = engine.topology().hosts.iter().map(|host| {
            let cap = |d| {
                (
                    karman_grid_core::ids::DeviceIx::of(d),
                    engine.fallbacks()[d],
                )
            };
            LeaseTable::new(host.devices.clone().map(cap))
        });
        let agents = agents.collect();
        Bench {
            engine,
            agents,
            now: MonoNs(1_000_000_000),
            blind: Vec::new(),
            deaf: None,
            hidden_w: 0.0,
        }
    }

    /// Every agent says hello.
    pub fn greet(&mut self) {
        for (host, agent) in self.agents.iter().enumerate() {
            let caps = agent.held().iter().map(|h| (h.device, h.cap)).collect();
            let (host, highest_epoch) = (HostIx::of(host), agent.highest_epoch());
            let hello = FromAgent::Hello {
                host,
                boot_id: 1,
                highest_epoch,
                caps,
            };
            self.engine.agent(&hello, self.now);
        }
    }

    /// Lets time pass in steps of 10 ms.
    pub fn run_ms(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            self.now = self.now.plus_ns(10_000_000);
            self.read_meters();
            self.engine.tick(self.now);
            self.deliver();
        }
    }

    fn read_meters(&mut self) {
        let topology = self.engine.topology();
        let shares = Shares::new(topology, &Lost::none(topology));
        let mut rack_w: Vec<f64> = topology.racks.iter().map(|r| r.fixed_w).collect();
        for held in self.agents.iter().flat_map(|a| a.held()) {
            rack_w[topology.devices[held.device.at()].rack.at()] += held.cap.w();
        }
        let samples: Vec<PowerSample> = (0..topology.meters.len())
            .map(MeterIx::of)
            .filter(|m| !self.blind.contains(m))
            .map(|m| {
                let element = topology.meters[m.at()].element;
                let share = |r: usize| {
                    let all = shares.of(RackIx::of(r));
                    all.iter()
                        .find(|s| s.element == element)
                        .map_or(0.0, |s| s.declared)
                };
                let load_w: f64 = (0..rack_w.len()).map(|r| rack_w[r] * share(r)).sum();
                sample(Node::Meter(m), load_w + self.hidden_w, self.now)
            })
            .collect();
        for sample in samples {
            self.engine.power(&sample, self.now);
        }
    }

    fn deliver(&mut self) {
        let mut out = Vec::new();
        self.engine.drain_outbox(&mut out);
        for (host, message) in out {
            if self.deaf == Some(host) {
                continue;
            }
            for answer in obey(&mut self.agents[host.at()], host, &message, self.now) {
                self.engine.agent(&answer, self.now);
            }
        }
        for agent in &mut self.agents {
            agent.expire(self.now);
        }
    }

    /// Sum of the caps in force, W.
    pub fn caps_w(&self) -> f64 {
        self.agents
            .iter()
            .flat_map(|a| a.held())
            .map(|h| h.cap.w())
            .sum()
    }
}

pub fn sample(node: Node, power_w: f64, now: MonoNs) -> PowerSample {
    PowerSample {
        node,
        taken_mono_ns: now,
        power_active_w: power_w,
        power_apparent_va: None,
        voltage_rms_v: None,
        current_rms_a: None,
        frequency_hz: None,
        validity: Validity::Good,
    }
}

/// What an agent whose writes take no time answers.
pub fn obey(
    agent: &mut LeaseTable,
    host: HostIx,
    message: &ToAgent,
    now: MonoNs,
) -> Vec<FromAgent> {
    let ack = |write: Write| Ack {
        device: write.device,
        cause: write.cause,
        outcome: Outcome::Applied,
        enforced_cap: Some(write.cap),
        acked_mono_ns: now,
        apply_latency_ns: 0,
    };
    match message {
        ToAgent::Plan {
            contingency,
            epoch,
            seq,
            caps,
        } => {
            let (contingency, seq) = (*contingency, *seq);
            agent
                .plan(contingency, *epoch, seq, caps.clone())
                .expect("a newer plan");
            vec![FromAgent::PlanHeld {
                host,
                contingency,
                seq,
            }]
        }
        ToAgent::Fire {
            contingency,
            epoch,
            seq,
        } => {
            let writes = agent
                .fire(*contingency, *epoch, *seq, now)
                .expect("a plan that is held");
            vec![FromAgent::Ack(writes.into_iter().map(ack).collect())]
        }
        ToAgent::Cap(commands) => {
            let obeyed = commands.iter().map(|c| match agent.cap(c, now) {
                Ok(write) => ack(write),
                Err(refusal) => Ack {
                    device: c.device,
                    cause: Cause::Command {
                        command_id: c.command_id,
                    },
                    outcome: Outcome::Rejected(refusal),
                    enforced_cap: None,
                    acked_mono_ns: now,
                    apply_latency_ns: 0,
                },
            });
            vec![FromAgent::Ack(obeyed.collect())]
        }
        ToAgent::Renew { epoch, lease_ns } => {
            agent
                .renew(*epoch, *lease_ns, now)
                .expect("the present epoch");
            vec![FromAgent::Renewed { host }]
        }
    }
}
