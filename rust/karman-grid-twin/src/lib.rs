//! The plant: feeds, breakers, UPSs, GPUs, workload and meters, deterministic from a seed.

pub mod agents;
pub mod arrivals;
pub mod demand;
mod demandfeed;
pub mod faults;
pub mod gpu;
pub mod hall;
mod link;
mod loss;
mod measure;
pub mod meters;
pub mod nuisance;
pub mod optimum;
pub mod params;
pub mod protection;
pub mod racks;
pub mod result;
pub mod rng;
pub mod runner;
pub mod scenario;
pub mod serving;
pub mod sim;
pub mod sink;
mod wavefeed;
mod ups;
pub mod waves;
mod window;
