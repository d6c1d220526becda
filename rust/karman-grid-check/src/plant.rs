//! Owns the plant's header made sound: ids resolved to indices, curves ready to evaluate.
//!
//! Whoever feeds the checker in-process asks here for indices once and needs no strings after.

use std::collections::BTreeMap;

use crate::curve::Curve;
use crate::error::{CheckError, possible_w};
use crate::record::{DeviceSpec, ElementSpec, Header, Mode, Origin, SCHEMA};

/// An element, ready to judge.
#[derive(Clone, Debug)]
pub(crate) struct Element {
    pub id: String,
    pub limit_w: f64,
    /// Power that it may consume itself.
    pub loss_w: f64,
    /// Indices of what feeds it, preferred first.
    pub parents: Vec<usize>,
    pub has_children: bool,
    /// Whether `battery` is a mode it can be in.
    pub has_battery: bool,
    curves: Vec<(Mode, Curve)>,
}

impl Element {
    /// The curve for `mode`: its own, else that of `line`, else the first, never none.
    pub fn curve(&self, mode: Mode) -> &Curve {
        let of = |wanted| self.curves.iter().find(|(mode, _)| *mode == wanted);
        let found = of(mode)
            .or_else(|| of(Mode::Line))
            .unwrap_or(&self.curves[0]);
        &found.1
    }
}

/// The plant's header, made sound.
#[derive(Clone, Debug)]
pub struct Plant {
    pub(crate) elements: Vec<Element>,
    pub(crate) devices: Vec<DeviceSpec>,
    pub(crate) start_ns: u64,
    pub(crate) stale_ns: u64,
    pub(crate) grace_ns: u64,
    pub(crate) ttl_max_ns: u64,
    element_ix: BTreeMap<String, usize>,
    device_ix: BTreeMap<String, usize>,
}

impl Plant {
    /// Takes the plant's header.
    ///
    /// # Errors
    /// Another schema or origin, no elements, an id twice, an unknown parent, or a number that
    /// cannot be.
    pub fn new(header: Header) -> Result<Self, CheckError> {
        sound_schema(&header)?;
        if header.origin != Origin::Plant {
            let found = format!("{:?}", header.origin).to_lowercase();
            return Err(CheckError::new("header.origin", found, "plant"));
        }
        if header.elements.is_empty() {
            let expected = "at least one element in the plant's header";
            return Err(CheckError::new("header.elements", "none", expected));
        }
        let element_ix = index("elements", header.elements.iter().map(|spec| &spec.id))?;
        let device_ix = index("devices", header.devices.iter().map(|spec| &spec.id))?;
        let mut elements = Vec::with_capacity(header.elements.len());
        for spec in &header.elements {
            elements.push(element(spec, &element_ix)?);
        }
        for child in 0..elements.len() {
            for parent in elements[child].parents.clone() {
                elements[parent].has_children = true;
            }
        }
        for spec in &header.devices {
            sound_device(spec)?;
        }
        Ok(Self {
            elements,
            devices: header.devices,
            start_ns: header.start_mono_ns,
            stale_ns: header.stale_ns,
            grace_ns: header.expiry_grace_ns,
            ttl_max_ns: header.lease_ttl_max_ns.unwrap_or(u64::MAX),
            element_ix,
            device_ix,
        })
    }

    /// Index of an element: its place in the header.
    #[must_use]
    pub fn element_ix(&self, id: &str) -> Option<usize> {
        self.element_ix.get(id).copied()
    }

    /// Index of a device: its place in the header.
    #[must_use]
    pub fn device_ix(&self, id: &str) -> Option<usize> {
        self.device_ix.get(id).copied()
    }
}

/// Refuses a layout that this crate does not know.
pub(crate) fn sound_schema(header: &Header) -> Result<(), CheckError> {
    if header.schema == SCHEMA {
        return Ok(());
    }
    Err(CheckError::new(
        "header.schema",
        header.schema.to_string(),
        SCHEMA.to_string(),
    ))
}

fn index<'a>(
    table: &str,
    ids: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, usize>, CheckError> {
    let mut map = BTreeMap::new();
    for (ix, id) in ids.enumerate() {
        if map.insert(id.clone(), ix).is_some() {
            let key = format!("header.{table}.id");
            return Err(CheckError::new(
                key,
                format!("\"{id}\" twice"),
                "each id once",
            ));
        }
    }
    Ok(map)
}

fn element(spec: &ElementSpec, ids: &BTreeMap<String, usize>) -> Result<Element, CheckError> {
    let key = |name: &str| format!("header.elements.{}.{name}", spec.id);
    possible_w(|| key("limit_w"), spec.limit_w)?;
    if spec.limit_w == 0.0 {
        return Err(CheckError::new(key("limit_w"), "0 W", "a positive limit"));
    }
    if !(0.0..1.0).contains(&spec.loss_ratio) {
        let found = spec.loss_ratio.to_string();
        return Err(CheckError::new(
            key("loss_ratio"),
            found,
            "a ratio from 0 to below 1",
        ));
    }
    let mut parents = Vec::with_capacity(spec.parents.len());
    for parent in &spec.parents {
        match ids.get(parent) {
            Some(&ix) if *parent != spec.id => parents.push(ix),
            _ => {
                let found = format!("\"{parent}\"");
                return Err(CheckError::new(
                    key("parents"),
                    found,
                    "ids of other elements",
                ));
            }
        }
    }
    let mut curves: Vec<(Mode, Curve)> = Vec::with_capacity(spec.curves.len().max(1));
    for curve in &spec.curves {
        if curve.mode == Mode::Off || curves.iter().any(|(mode, _)| *mode == curve.mode) {
            let found = format!("{:?}", curve.mode).to_lowercase();
            let expected = "each of line, battery, bypass at most once";
            return Err(CheckError::new(key("curves.mode"), found, expected));
        }
        curves.push((curve.mode, Curve::new(&key("curves.points"), curve)?));
    }
    let has_battery = spec.kind == "ups" || curves.iter().any(|(mode, _)| *mode == Mode::Battery);
    if curves.is_empty() {
        curves.push((Mode::Line, Curve::unknown()));
    }
    Ok(Element {
        id: spec.id.clone(),
        limit_w: spec.limit_w,
        loss_w: spec.loss_ratio * spec.limit_w,
        parents,
        has_children: false,
        has_battery,
        curves,
    })
}

fn sound_device(spec: &DeviceSpec) -> Result<(), CheckError> {
    let key = |name: &str| format!("header.devices.{}.{name}", spec.id);
    possible_w(|| key("fallback_w"), spec.fallback_w)?;
    possible_w(|| key("cap_min_w"), spec.cap_min_w)?;
    possible_w(|| key("cap_max_w"), spec.cap_max_w)?;
    if spec.cap_min_w > spec.cap_max_w {
        let expected = format!("at most cap_max_w = {} W", spec.cap_max_w);
        return Err(CheckError::new(
            key("cap_min_w"),
            format!("{} W", spec.cap_min_w),
            expected,
        ));
    }
    Ok(())
}
