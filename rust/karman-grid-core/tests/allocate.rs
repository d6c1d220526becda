//! The allocation: rows hold, floors hold, and nobody who is short could have had more without
//! taking it from somebody who has less.

use karman_grid_core::allocate::{Problem, allocate};
use karman_grid_core::ids::ElementIx;
use karman_grid_core::rows::Row;
use proptest::prelude::*;

fn row(coefs: Vec<f64>) -> Row {
    let (element, members) = (ElementIx(0), vec![]);
    Row {
        element,
        members,
        coefs,
        limit_w: 0.0,
        overload_w: 0.0,
        bare_w: 0.0,
    }
}

#[derive(Debug, Clone)]
struct Case {
    floor_w: Vec<f64>,
    request_w: Vec<f64>,
    ceiling_w: Vec<f64>,
    tier: Vec<u8>,
    rack: Vec<usize>,
    rows: Vec<(Vec<f64>, f64)>,
}

const RACKS: usize = 5;

fn case() -> impl Strategy<Value = Case> {
    let device = (0f64..100.0, 0f64..300.0, 0f64..300.0, 0u8..3, 0usize..RACKS);
    let rows = prop::collection::vec(
        (
            prop::collection::vec(prop_oneof![Just(0.0), 0.3f64..1.0], RACKS),
            0.3f64..1.2,
        ),
        1..5,
    );
    (prop::collection::vec(device, 1..25), rows).prop_map(|(devices, rows)| {
        let floor_w: Vec<f64> = devices.iter().map(|d| d.0).collect();
        let request_w: Vec<f64> = devices.iter().map(|d| d.0 + d.1).collect();
        let ceiling_w: Vec<f64> = devices.iter().map(|d| d.0 + d.1 + d.2).collect();
        let rack: Vec<usize> = devices.iter().map(|d| d.4).collect();
        let load = |coefs: &[f64], x: &[f64]| -> f64 {
            x.iter().zip(&rack).map(|(x, r)| coefs[*r] * x).sum()
        };
        let rows = rows
            .into_iter()
            .map(|(coefs, part)| {
                let (low, high) = (load(&coefs, &floor_w), load(&coefs, &ceiling_w));
                let limit = low + part * (high - low);
                (coefs, limit)
            })
            .collect();
        let tier = devices.iter().map(|d| d.3).collect();
        Case {
            floor_w,
            request_w,
            ceiling_w,
            tier,
            rack,
            rows,
        }
    })
}

fn load(case: &Case, row: usize, x: &[f64]) -> f64 {
    x.iter()
        .zip(&case.rack)
        .map(|(x, r)| case.rows[row].0[*r] * x)
        .sum()
}

proptest! {
    #[test]
    fn respects_rows_and_is_max_min_fair(case in case()) {
        let rows: Vec<Row> = case.rows.iter().map(|r| row(r.0.clone())).collect();
        let pairs: Vec<(&Row, f64)> = rows.iter().zip(case.rows.iter().map(|r| r.1)).collect();
        let answer = allocate(&Problem {
            floor_w: &case.floor_w,
            request_w: &case.request_w,
            ceiling_w: &case.ceiling_w,
            tier: &case.tier,
            weight: &vec![1.0; case.floor_w.len()],
            rack: &case.rack,
            base_w: &[0.0; RACKS],
            rows: &pairs,
        });
        prop_assert!(answer.feasible);
        let x = &answer.cap_w;
        for r in 0..rows.len() {
            prop_assert!(load(&case, r, x) <= case.rows[r].1 + 1e-3);
        }
        for (d, cap_w) in x.iter().enumerate() {
            prop_assert!(*cap_w >= case.floor_w[d] && *cap_w <= case.ceiling_w[d] + 1e-9);
        }
        // Certificate: who is short of his request lies in a full row in which nobody of his tier
        // has a higher level above his floor, and nobody of a lower tier has more than his floor.
        for d in (0..x.len()).filter(|d| x[*d] < case.request_w[*d] - 0.01) {
            let fair = (0..rows.len()).any(|r| {
                let coefs = &case.rows[r].0;
                let full = load(&case, r, x) >= case.rows[r].1 - 0.01;
                full && coefs[case.rack[d]] > 0.0
                    && (0..x.len()).filter(|o| coefs[case.rack[*o]] > 0.0).all(|o| {
                        let above_floor = x[o] > case.floor_w[o] + 0.01;
                        match case.tier[o].cmp(&case.tier[d]) {
                            std::cmp::Ordering::Greater => !above_floor,
                            std::cmp::Ordering::Equal => !above_floor || x[o] <= x[d] + 0.01,
                            std::cmp::Ordering::Less => true,
                        }
                    })
            });
            prop_assert!(fair, "device {d}: {x:?}");
        }
    }
}

#[test]
fn floors_that_do_not_fit_are_said_and_given() {
    let only = row(vec![1.0]);
    let answer = allocate(&Problem {
        floor_w: &[100.0, 100.0],
        request_w: &[200.0, 200.0],
        ceiling_w: &[200.0, 200.0],
        tier: &[0, 1],
        weight: &[1.0, 1.0],
        rack: &[0, 0],
        base_w: &[50.0],
        rows: &[(&only, 200.0)],
    });
    assert!(!answer.feasible);
    assert_eq!(answer.cap_w, [100.0, 100.0]);
    assert_eq!(answer.bound_by, [Some(0), Some(0)]);
}
