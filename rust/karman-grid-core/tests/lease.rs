//! The agent's state machine: what it obeys, what it refuses, what it does when nobody speaks.

use karman_grid_core::command::{CapCommand, Cause, Refusal};
use karman_grid_core::ids::{ContingencyIx, DeviceIx};
use karman_grid_core::lease::LeaseTable;
use karman_grid_core::time::{MonoNs, NS_PER_MS};
use karman_grid_core::units::Power;
use proptest::prelude::*;

const FALLBACK_W: f64 = 400.0;
const TTL_NS: u64 = 1_000 * NS_PER_MS;

fn table() -> LeaseTable {
    LeaseTable::new((0..2).map(|d| (DeviceIx(d), Power::from_w(FALLBACK_W))))
}

fn command(device: u32, cap_w: f64, epoch: u64, seq: u64) -> CapCommand {
    CapCommand {
        command_id: seq,
        decision_seq: 1,
        device: DeviceIx(device),
        cap: Power::from_w(cap_w),
        fallback_cap: Power::from_w(FALLBACK_W),
        epoch,
        seq,
        lease_ns: TTL_NS,
    }
}

fn plan_of(device: u32, cap_w: f64) -> Vec<(DeviceIx, Power)> {
    vec![(DeviceIx(device), Power::from_w(cap_w))]
}

fn ms(ms: u64) -> MonoNs {
    MonoNs(ms * NS_PER_MS)
}

#[test]
fn a_raise_falls_back_when_its_lease_ends() {
    let mut table = table();
    table.cap(&command(0, 600.0, 1, 1), ms(0)).unwrap();
    assert!(table.expire(ms(999)).is_empty());
    let writes = table.expire(ms(1_000));
    assert_eq!(writes.len(), 1);
    assert_eq!(
        (writes[0].cap.w(), writes[0].cause),
        (FALLBACK_W, Cause::Expiry)
    );
}

#[test]
fn renewal_keeps_a_lease_but_revives_none() {
    let mut table = table();
    table.cap(&command(0, 600.0, 1, 1), ms(0)).unwrap();
    table.renew(1, TTL_NS, ms(800)).unwrap();
    assert!(table.expire(ms(1_700)).is_empty());
    assert_eq!(table.expire(ms(1_800)).len(), 1);
    table.renew(1, TTL_NS, ms(1_900)).unwrap();
    assert_eq!(table.held()[0].lease, None);
}

#[test]
fn what_stands_below_the_fallback_rises_one_ttl_after_the_lease() {
    let mut table = table();
    table.cap(&command(0, 600.0, 1, 1), ms(0)).unwrap();
    table
        .plan(ContingencyIx(0), 1, 2, plan_of(0, 250.0))
        .unwrap();
    assert_eq!(
        table.fire(ContingencyIx(0), 1, 3, ms(0)).unwrap()[0]
            .cap
            .w(),
        250.0
    );
    assert!(
        table.expire(ms(1_000)).is_empty(),
        "no rise while other leases may live"
    );
    assert!(table.expire(ms(1_999)).is_empty());
    assert_eq!(table.expire(ms(2_000))[0].cap.w(), FALLBACK_W);
}

#[test]
fn a_plan_only_lowers_and_twice_changes_nothing() {
    let mut table = table();
    table.cap(&command(0, 300.0, 1, 1), ms(0)).unwrap();
    let caps = [plan_of(0, 350.0), plan_of(1, 350.0)].concat();
    table.plan(ContingencyIx(7), 1, 2, caps).unwrap();
    let writes = table.fire(ContingencyIx(7), 1, 3, ms(0)).unwrap();
    assert_eq!(writes.len(), 1, "device 0 stands lower already");
    assert_eq!(writes[0].device, DeviceIx(1));
    assert!(
        table
            .fire(ContingencyIx(7), 1, 4, ms(0))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn refuses_what_is_old_or_foreign() {
    let mut table = table();
    table.cap(&command(0, 500.0, 5, 9), ms(0)).unwrap();
    assert_eq!(
        table.cap(&command(0, 600.0, 4, 99), ms(1)),
        Err(Refusal::OldEpoch)
    );
    assert_eq!(
        table.cap(&command(0, 600.0, 5, 9), ms(1)),
        Err(Refusal::OldSeq)
    );
    assert_eq!(
        table.cap(&command(9, 600.0, 5, 10), ms(1)),
        Err(Refusal::UnknownDevice)
    );
    assert_eq!(
        table.fire(ContingencyIx(0), 5, 10, ms(0)),
        Err(Refusal::NoPlan)
    );
    assert_eq!(table.renew(4, TTL_NS, ms(1)), Err(Refusal::OldEpoch));
    assert_eq!(table.held()[0].cap.w(), 500.0);
}

#[test]
fn a_cap_decided_before_a_fire_does_not_undo_it() {
    let mut table = table();
    table.cap(&command(0, 600.0, 1, 1), ms(0)).unwrap();
    table
        .plan(ContingencyIx(0), 1, 2, plan_of(0, 250.0))
        .unwrap();
    table.fire(ContingencyIx(0), 1, 4, ms(0)).unwrap();
    assert_eq!(
        table.cap(&command(0, 650.0, 1, 3), ms(2)),
        Err(Refusal::OldSeq)
    );
    assert_eq!(table.held()[0].cap.w(), 250.0);
}

proptest! {
    #[test]
    fn never_above_fallback_without_a_lease_and_epochs_never_go_back(
        steps in proptest::collection::vec(
            (0u8..5, 0u32..3, 200f64..700.0, 0u64..4, 0u64..60), 1..80)
    ) {
        let mut table = table();
        let (mut now_ms, mut epoch) = (0, 0);
        for (kind, device, cap_w, epoch_step, value) in steps {
            let now = ms(now_ms);
            match kind {
                0 => { let _ = table.cap(&command(device, cap_w, epoch_step, value), now); }
                1 => { let _ = table.renew(epoch_step, TTL_NS, now); }
                2 => {
                    let caps = plan_of(device, cap_w);
                    let _ = table.plan(ContingencyIx(0), epoch_step, value, caps);
                }
                3 => {
                    let before: Vec<_> = table.held().iter().map(|h| h.cap).collect();
                    let _ = table.fire(ContingencyIx(0), epoch_step, value, now);
                    for (held, before) in table.held().iter().zip(before) {
                        prop_assert!(held.cap <= before);
                    }
                }
                _ => { now_ms += value * 40; }
            }
            table.expire(ms(now_ms));
            prop_assert!(table.highest_epoch() >= epoch);
            epoch = table.highest_epoch();
            for held in table.held() {
                let leased = held.lease.filter(|l| l.expires_mono_ns > ms(now_ms));
                let bound = leased.map_or(held.fallback, |l| l.cap.max(held.fallback));
                prop_assert!(held.cap <= bound, "{held:?} at {now_ms} ms");
            }
        }
    }
}
