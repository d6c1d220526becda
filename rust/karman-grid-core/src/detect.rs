//! Placeholder with the interface that the engine relies on; the detector replaces this file.
use crate::{event::*,ids::*,sample::*,time::*,topology::*};
#[derive(Clone,Debug)] pub struct Detector;
pub struct MeterValues{pub power_active_w:f64,pub taken_mono_ns:MonoNs}
impl Detector{ pub fn new(_:&Topology)->Detector{Detector} pub fn push(&mut self,_:&SampleBlock,_:&mut Vec<ElectricalEvent>){} pub fn values(&self,_:MeterIx)->Option<MeterValues>{None} pub fn tick(&mut self,_:MonoNs,_:&mut Vec<ElectricalEvent>){} pub fn heard(&mut self,_:MeterIx,_:MonoNs,_:&mut Vec<ElectricalEvent>){} }
