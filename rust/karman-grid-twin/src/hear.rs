//! What the engine hears of the plant: blocks of waveforms, meters that are polled, readings of
//! devices. Owns when each of them comes; nothing else of the plant reaches the engine.

use crate::sim::{SLOT_NS, Sim};
use karman_grid_core::ids::DeviceIx;
use karman_grid_core::sample::{Node, PowerSample, Validity};
use karman_grid_core::time::{MonoNs, NS_PER_S};

impl Sim {
    /// Delivers blocks, messages and writes up to `until_ns`, in order of time.
    pub(crate) fn hear_waves(&mut self, until_ns: u64) {
        if self.engine.is_none() {
            return;
        }
        let mut waves = std::mem::take(&mut self.waves);
        waves.fill(&self.plant);
        while let Some((block, at_ns)) = waves.next_block() {
            self.run_agenda(at_ns.min(until_ns));
            if let Some(engine) = &mut self.engine {
                engine.block(&block, MonoNs(at_ns));
            }
            self.sent_ns = at_ns;
            self.drain();
        }
        self.waves = waves;
    }

    /// Meters that are polled, as their periods pass; in coarse steps also those with waveforms.
    pub(crate) fn read_polled(&mut self, from_ns: u64, to_ns: u64, coarse: bool) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        for (meter, period_ns) in &self.polled {
            let due = match *period_ns {
                0 => coarse,
                period_ns => to_ns / period_ns > from_ns / period_ns,
            };
            if due {
                let power_w = self.plant.meter_power_w(*meter);
                engine.power(&reading(Node::Meter(*meter), power_w, to_ns), MonoNs(to_ns));
            }
        }
        self.sent_ns = to_ns;
        self.drain();
    }

    /// Readings of the devices: each once a second, the hosts one after the other.
    pub(crate) fn read_devices(&mut self, from_ns: u64, to_ns: u64) {
        let Some(engine) = &mut self.engine else {
            return;
        };
        let slots = NS_PER_S / SLOT_NS;
        let (first, last) = (from_ns / SLOT_NS, to_ns / SLOT_NS);
        if first == last {
            return;
        }
        for slot in first..last {
            for host in self
                .topology
                .hosts
                .iter()
                .skip((slot % slots) as usize)
                .step_by(slots as usize)
            {
                for device in host.devices.clone().map(DeviceIx::of) {
                    let power_w = self.plant.device_power_w(device);
                    engine.power(
                        &reading(Node::Device(device), power_w, to_ns),
                        MonoNs(to_ns),
                    );
                }
            }
        }
        self.sent_ns = to_ns;
        self.drain();
    }
}

fn reading(node: Node, power_active_w: f64, now_ns: u64) -> PowerSample {
    PowerSample {
        node,
        taken_mono_ns: MonoNs(now_ns),
        power_active_w,
        power_apparent_va: None,
        voltage_rms_v: None,
        current_rms_a: None,
        frequency_hz: None,
        validity: Validity::Good,
    }
}
