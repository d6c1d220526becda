//! From the rows of a site file to the arena. Owns what the words of a site file mean; fails by
//! naming the first row that cannot be.

use super::{Device, Element, Host, Meter, Rack, Topology};
use crate::curve::Curve;
use crate::error::SiteError;
use crate::ids::{ElementIx, HostIx, RackIx, is_valid_id};
use crate::limits::{DEVICES_MAX, ELEMENTS_MAX};
use crate::site::{DeviceSpec, ElementKind, ElementSpec, ModeSpec, SiteSpec, SiteTable};
use crate::units::Power;
use std::collections::{BTreeMap, BTreeSet};

impl Topology {
    /// Gives a site file its meaning.
    ///
    /// # Errors
    /// [`SiteError`] for the first row that cannot be: duplicate or unknown ids, cycles, orphans,
    /// shares that do not add up, floors above limits, missing or several ratings.
    pub fn build(spec: &SiteSpec) -> Result<Topology, SiteError> {
        let order = element_order(&spec.element)?;
        let index_of: BTreeMap<&str, ElementIx> = order
            .iter()
            .enumerate()
            .map(|(at, row)| (spec.element[*row].id.as_str(), ElementIx::of(at)))
            .collect();
        let elements = order
            .iter()
            .map(|row| element(spec, &spec.element[*row], &index_of))
            .collect::<Result<Vec<_>, _>>()?;
        let mut racks = racks(spec, &index_of)?;
        let (hosts, devices) = devices(spec, &mut racks)?;
        let meters = meters(spec, &index_of, &elements)?;
        Ok(Topology {
            site: spec.site.clone(),
            elements,
            racks,
            hosts,
            devices,
            meters,
        })
    }
}

fn unique<'a>(table: &str, ids: impl Iterator<Item = &'a str>) -> Result<(), SiteError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !is_valid_id(id) {
            let wanted = "an id: lower-case letters, digits, '.' and '-', at most 63";
            return Err(SiteError::new(table, format!("id {id:?}"), wanted));
        }
        if !seen.insert(id) {
            return Err(SiteError::new(
                format!("{table}.{id}"),
                "the id twice",
                "unique ids",
            ));
        }
    }
    Ok(())
}

/// Rows of `[[element]]` with parents first.
fn element_order(rows: &[ElementSpec]) -> Result<Vec<usize>, SiteError> {
    unique("element", rows.iter().map(|e| e.id.as_str()))?;
    if rows.is_empty() || rows.len() > ELEMENTS_MAX {
        let wanted = format!("1 to {ELEMENTS_MAX} rows");
        return Err(SiteError::new(
            "element",
            format!("{} rows", rows.len()),
            wanted,
        ));
    }
    let mut placed = BTreeSet::new();
    let mut order = Vec::with_capacity(rows.len());
    while order.len() < rows.len() {
        let before = order.len();
        for (at, row) in rows.iter().enumerate() {
            let ready = row.parents.iter().all(|p| placed.contains(p.as_str()));
            if ready && !placed.contains(row.id.as_str()) {
                placed.insert(row.id.as_str());
                order.push(at);
            }
        }
        if order.len() == before {
            let stuck = rows.iter().find(|r| !placed.contains(r.id.as_str()));
            let row = stuck.expect("fewer rows placed than there are");
            return Err(SiteError::new(
                format!("element.{}.parents", row.id),
                format!("{:?}", row.parents),
                "parents that exist and form no cycle",
            ));
        }
    }
    Ok(order)
}

fn element(
    spec: &SiteSpec,
    row: &ElementSpec,
    index_of: &BTreeMap<&str, ElementIx>,
) -> Result<Element, SiteError> {
    let path = |key: &str| format!("element.{}.{key}", row.id);
    let source = matches!(row.kind, ElementKind::Utility | ElementKind::Generator);
    if row.parents.is_empty() && !source {
        let wanted = "a parent: only a utility or a generator has none";
        return Err(SiteError::new(path("parents"), "none", wanted));
    }
    let mut curves = [None, None, None];
    for id in &row.curve {
        let curve = spec.curve.iter().find(|c| c.id == *id);
        let Some(curve) = curve else {
            return Err(SiteError::new(
                path("curve"),
                format!("{id:?}"),
                "the id of a [[curve]]",
            ));
        };
        let slot = &mut curves[curve.mode as usize];
        if slot.is_some() {
            let found = format!("two curves for mode {:?}", curve.mode);
            return Err(SiteError::new(
                path("curve"),
                found,
                "at most one for each mode",
            ));
        }
        *slot = Some(Curve::from_spec(curve)?);
    }
    let credible = row.credible.unwrap_or(matches!(
        row.kind,
        ElementKind::Feed | ElementKind::Ups | ElementKind::Pdu
    ));
    Ok(Element {
        id: row.id.clone(),
        kind: row.kind,
        parents: row.parents.iter().map(|p| index_of[p.as_str()]).collect(),
        limit_w: limit_w(&spec.site, row)?,
        curves,
        credible,
    })
}

/// Rule 11: the least of kW, kVA · pf_min and √3 · 0.9 · V · I · pf_min · continuous_ratio; at the
/// utility also of the contract (rule 22).
fn limit_w(site: &SiteTable, row: &ElementSpec) -> Result<f64, SiteError> {
    let given = [row.rating_w, row.rating_va, row.rating_a];
    let path = format!("element.{}.rating", row.id);
    let mut known = given.iter().flatten();
    if known.clone().count() != 1 || !known.all(|x| x.is_finite() && *x > 0.0) {
        let wanted = "exactly one of rating_w, rating_va, rating_a, above 0";
        return Err(SiteError::new(path, format!("{given:?}"), wanted));
    }
    let rated_w = match (row.rating_w, row.rating_va, row.rating_a) {
        (Some(w), _, _) => w,
        (_, Some(va), _) => va * row.pf_min,
        (_, _, Some(a)) => {
            0.9 * site.nominal_v * f64::from(row.phases) * a * row.pf_min * row.continuous_ratio
        }
        _ => unreachable!("exactly one rating was counted"),
    };
    let contract_w = site.contract_w.filter(|_| row.kind == ElementKind::Utility);
    Ok(contract_w.map_or(rated_w, |contract_w| rated_w.min(contract_w)))
}

fn racks(spec: &SiteSpec, index_of: &BTreeMap<&str, ElementIx>) -> Result<Vec<Rack>, SiteError> {
    unique("rack", spec.rack.iter().map(|r| r.id.as_str()))?;
    let mut racks = Vec::with_capacity(spec.rack.len());
    for row in &spec.rack {
        let path = format!("rack.{}.cords", row.id);
        let mut cords = Vec::new();
        for cord in &row.cords {
            let Some(element) = index_of.get(cord.element.as_str()) else {
                let found = format!("element {:?}", cord.element);
                return Err(SiteError::new(path, found, "the id of an [[element]]"));
            };
            cords.push((*element, cord.share));
        }
        let total: f64 = cords.iter().map(|c| c.1).sum();
        let shares_fit = cords.iter().all(|c| c.1 >= 0.0) && (total - 1.0).abs() <= 1e-6;
        if !shares_fit {
            let found = format!("shares that sum to {total}");
            return Err(SiteError::new(
                path,
                found,
                "shares of 0 to 1 that sum to 1",
            ));
        }
        racks.push(Rack {
            id: row.id.clone(),
            cords,
            psu_rating_w: row.cords.iter().map(|c| c.psu_rating_w).collect(),
            on_loss: row.on_loss,
            fixed_w: 0.0,
        });
    }
    Ok(racks)
}

/// Numbers that sums and levels are made of.
fn check_numbers(row: &DeviceSpec) -> Result<(), SiteError> {
    let path = |key: &str| format!("device.{}.{key}", row.id);
    let powers_w = [row.fixed_w, row.cap_max_w.unwrap_or(0.0)];
    if !powers_w.iter().all(|w| w.is_finite() && *w >= 0.0) {
        let (found, wanted) = (format!("{powers_w:?}"), "finite powers of at least 0 W");
        return Err(SiteError::new(path("fixed_w"), found, wanted));
    }
    if !(row.weight.is_finite() && row.weight > 0.0) {
        let (found, wanted) = (row.weight.to_string(), "a finite weight above 0");
        return Err(SiteError::new(path("weight"), found, wanted));
    }
    Ok(())
}

fn devices(spec: &SiteSpec, racks: &mut [Rack]) -> Result<(Vec<Host>, Vec<Device>), SiteError> {
    unique("device", spec.device.iter().map(|d| d.id.as_str()))?;
    let rack_of: BTreeMap<&str, RackIx> = spec
        .rack
        .iter()
        .enumerate()
        .map(|(at, r)| (r.id.as_str(), RackIx::of(at)))
        .collect();
    let (mut hosts, mut devices) = (Vec::new(), Vec::<Device>::new());
    for row in &spec.device {
        let path = |key: &str| format!("device.{}.{key}", row.id);
        let Some(rack) = rack_of.get(row.rack.as_str()).copied() else {
            let found = format!("{:?}", row.rack);
            return Err(SiteError::new(path("rack"), found, "the id of a [[rack]]"));
        };
        check_numbers(row)?;
        racks[rack.at()].fixed_w += row.fixed_w * f64::from(row.count);
        let (low, high) = match (row.cap_min_w, row.cap_max_w) {
            (None, None) => continue,
            (Some(low), Some(high)) if 0.0 <= low && low <= high => (low, high),
            found => {
                let found = format!("{found:?}");
                return Err(SiteError::new(
                    path("cap_min_w"),
                    found,
                    "0 ≤ cap_min_w ≤ cap_max_w",
                ));
            }
        };
        let first = devices.len();
        let host = HostIx::of(hosts.len());
        for number in 0..row.count {
            let single = row.count == 1;
            let id = if single {
                row.id.clone()
            } else {
                format!("{}-{number}", row.id)
            };
            devices.push(Device {
                id,
                host,
                rack,
                cap_min: Power::from_w(low),
                cap_max: Power::from_w(high),
                tier: row.tier,
                weight: row.weight,
            });
        }
        // In shadow nothing is written; what would be needs the same agents.
        let shadow = spec.site.mode == ModeSpec::Shadow;
        let actuated = spec
            .actuator
            .iter()
            .any(|a| (a.write || shadow) && (a.devices.is_empty() || a.devices.contains(&row.id)));
        hosts.push(Host {
            id: row.id.clone(),
            rack,
            devices: first..devices.len(),
            actuated,
        });
    }
    if devices.len() > DEVICES_MAX {
        let wanted = format!("at most {DEVICES_MAX} devices");
        return Err(SiteError::new(
            "device",
            format!("{} devices", devices.len()),
            wanted,
        ));
    }
    Ok((hosts, devices))
}

fn meters(
    spec: &SiteSpec,
    index_of: &BTreeMap<&str, ElementIx>,
    elements: &[Element],
) -> Result<Vec<Meter>, SiteError> {
    unique("meter", spec.meter.iter().map(|m| m.id.as_str()))?;
    let mut meters = Vec::with_capacity(spec.meter.len());
    for row in &spec.meter {
        let Some(element) = index_of.get(row.element.as_str()).copied() else {
            let path = format!("meter.{}.element", row.id);
            return Err(SiteError::new(
                path,
                format!("{:?}", row.element),
                "the id of an element",
            ));
        };
        // Full scale leaves room for 12-fold inrush peaks on a bus at its limit.
        let rated_a = elements[element.at()].limit_w / (3.0 * spec.site.nominal_v);
        let full = [2.0 * spec.site.nominal_v * 1.5, 14.0 * rated_a * 1.5];
        meters.push(Meter {
            id: row.id.clone(),
            element,
            position: row.position,
            sample_rate_hz: row.sample_rate_hz,
            period_s: row.period_s,
            scale: row.scale.unwrap_or(full),
        });
    }
    Ok(meters)
}
