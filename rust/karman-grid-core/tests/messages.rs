//! Messages that should not be: foreign ids, answers that cross, agents that fall silent.

mod common;

use common::{Bench, hall, sample};
use karman_grid_core::command::{Ack, Cause, FromAgent, Outcome, Refusal, ToAgent};
use karman_grid_core::ids::{ContingencyIx, DeviceIx, HostIx, MeterIx};
use karman_grid_core::sample::Node;
use karman_grid_core::units::Power;

fn ack(device: u32, cause: Cause, outcome: Outcome, enforced_w: Option<f64>, bench: &Bench) -> Ack {
    Ack {
        device: DeviceIx(device),
        cause,
        outcome,
        enforced_cap: enforced_w.map(Power::from_w),
        acked_mono_ns: bench.now,
        apply_latency_ns: 0,
    }
}

#[test]
fn foreign_ids_change_nothing_and_break_nothing() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(2_000);
    let before = bench.engine.status(bench.now);
    let now = bench.now;
    let (boot_id, highest_epoch) = (1, 0);
    let caps = vec![(DeviceIx(0), Power::ZERO)];
    let host = HostIx(1);
    let hello_for_another = FromAgent::Hello {
        host,
        boot_id,
        highest_epoch,
        caps: caps.clone(),
    };
    let host = HostIx(9_999);
    let foreign = [
        hello_for_another,
        FromAgent::Hello {
            host,
            boot_id,
            highest_epoch,
            caps,
        },
        FromAgent::Renewed { host },
        FromAgent::PlanHeld {
            host: HostIx(0),
            contingency: ContingencyIx(999),
            seq: 1,
        },
        FromAgent::Ack(vec![ack(
            99_999,
            Cause::Start,
            Outcome::Applied,
            Some(1.0),
            &bench,
        )]),
    ];
    for message in &foreign {
        bench.engine.agent(message, now);
    }
    bench
        .engine
        .power(&sample(Node::Meter(MeterIx(999)), 1.0, now), now);
    bench
        .engine
        .power(&sample(Node::Device(DeviceIx(99_999)), 1.0, now), now);
    let after = bench.engine.status(now);
    assert_eq!(after.caps, before.caps);
    assert_eq!(after.agents, before.agents);
}

#[test]
fn an_agent_that_was_silent_is_spoken_to_and_returns() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(2_000);
    bench.deaf = Some(HostIx(3));
    bench.run_ms(3_000);
    assert_eq!(bench.engine.status(bench.now).agents.0, 127);
    bench.deaf = None;
    bench.run_ms(1_000);
    assert_eq!(bench.engine.status(bench.now).agents.0, 128);
}

#[test]
fn an_expiry_does_not_answer_a_raise_on_its_way() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(500);
    let raised = loop {
        bench.now = bench.now.plus_ns(10_000_000);
        bench.engine.tick(bench.now);
        let mut out = Vec::new();
        bench.engine.drain_outbox(&mut out);
        let caps = out.into_iter().find_map(|(_, message)| match message {
            ToAgent::Cap(commands) => commands.into_iter().find(|c| c.cap > c.fallback_cap),
            _ => None,
        });
        if let Some(command) = caps {
            break command;
        }
    };
    let crossing = ack(
        raised.device.0,
        Cause::Expiry,
        Outcome::Applied,
        Some(200.0),
        &bench,
    );
    let before_w = bench.engine.status(bench.now).caps.accounted_w;
    bench
        .engine
        .agent(&FromAgent::Ack(vec![crossing]), bench.now);
    let after_w = bench.engine.status(bench.now).caps.accounted_w;
    assert!(
        (after_w - before_w).abs() < 1.0,
        "the raise counts on: {before_w} {after_w}"
    );
}

#[test]
fn a_refused_command_stays_in_the_books_as_what_may_be_in_force() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    let sums = bench.engine.status(bench.now).caps;
    let cause = Cause::Command { command_id: 1 };
    let refused = ack(0, cause, Outcome::Rejected(Refusal::OldSeq), None, &bench);
    bench
        .engine
        .agent(&FromAgent::Ack(vec![refused]), bench.now);
    assert!(bench.engine.status(bench.now).caps.accounted_w >= sums.enforced_w - 1.0);
}

#[test]
fn an_excess_that_is_gone_is_forgotten() {
    let mut bench = Bench::new(&hall());
    bench.greet();
    bench.run_ms(10_000);
    let granted_w = bench.engine.status(bench.now).grant.load_w;
    bench.hidden_w = 20e3;
    bench.run_ms(2_000);
    bench.hidden_w = 0.0;
    bench.run_ms(100);
    let cut_w = bench.engine.status(bench.now).grant.load_w;
    assert!(cut_w < granted_w - 10e3, "{cut_w} {granted_w}");
    bench.run_ms(600_000);
    let later_w = bench.engine.status(bench.now).grant.load_w;
    assert!(later_w > granted_w - 5e3, "{later_w} {granted_w}");
}
