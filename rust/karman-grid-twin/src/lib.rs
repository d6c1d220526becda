//! The plant: feeds, breakers, UPSs, GPUs, workload and meters, deterministic from a seed.
