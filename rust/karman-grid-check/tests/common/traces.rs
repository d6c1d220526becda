//! Three sound traces of one small run, as text to edit.

use karman_grid_check::{Verdict, merge};

/// The plant's trace of a small run.
pub const PLANT: &str = concat!(
    r#"{"type":"header","schema":1,"mono_ns":0,"origin":"plant","site":"t","#,
    r#""start_mono_ns":1000000000,"elements":["#,
    r#"{"id":"ups-a","kind":"ups","limit_w":1000,"#,
    r#""curves":[{"mode":"line","points":[[1.05,3600],[1.5,1.5]]}]},"#,
    r#"{"id":"feed-a","kind":"feed","parents":["ups-a"],"limit_w":1000,"#,
    r#""curves":[{"mode":"line","points":[[1.05,3600],[1.5,1.5]]}],"colour":"blue"}],"#,
    r#""devices":[{"id":"gpu-0","fallback_w":400,"cap_min_w":200,"cap_max_w":700}]}"#,
    "\n",
    r#"{"type":"cap","mono_ns":1000000000,"device":"gpu-0","cap_w":400}"#,
    "\n",
    r#"{"type":"flow","mono_ns":1000000000,"power_w":[900,900.0],"mode":["line","line"]}"#,
    "\n",
    r#"{"type":"load","mono_ns":1000000000,"rack_power_w":[450,450]}"#,
    "\n",
    r#"{"type":"cap","mono_ns":1013000000,"device":"gpu-0","cap_w":600}"#,
    "\n",
    r#"{"type":"event","mono_ns":1500000000,"kind":"feed-loss","#,
    r#""element":"feed-b","note":{"any":"thing"}}"#,
    "\n",
    r#"{"type":"flow","mono_ns":1500000000,"power_w":[1400,1400]}"#,
    "\n",
    r#"{"type":"cap","mono_ns":1515000000,"device":"gpu-0","cap_w":300}"#,
    "\n",
    r#"{"type":"flow","mono_ns":1600000000,"power_w":[950,950]}"#,
    "\n",
    r#"{"type":"trip","mono_ns":1700000000,"element":"feed-a"}"#,
    "\n",
    r#"{"type":"flow","mono_ns":1.7e9,"power_w":[950,950]}"#,
    "\n",
);
/// The controller's trace of the same run.
pub const CONTROLLER: &str = concat!(
    r#"{"type":"header","schema":1,"mono_ns":1000000000,"#,
    r#""origin":"controller","start_mono_ns":0,"stale_ns":999999999999}"#,
    "\n",
    r#"{"type":"raise","mono_ns":1008000000,"device":"gpu-0","cap_w":600,"data_age_ns":2000000}"#,
    "\n",
    r#"{"type":"books","mono_ns":1013000000,"accounted_w":{"ups-a":1200},"#,
    r#""devices_accounted_w":600,"devices_enforced_w":null}"#,
    "\n",
    r#"{"type":"books","mono_ns":1600000000,"devices_accounted_w":300}"#,
    "\n",
);
/// The agent's trace of the same run.
pub const AGENT: &str = concat!(
    r#"{"type":"header","schema":1,"mono_ns":1000000000,"origin":"agent","start_mono_ns":0}"#,
    "\n",
    r#"{"type":"lease","mono_ns":1010000000,"device":"gpu-0","cap_w":600,"#,
    r#""epoch":3,"seq":1,"ttl_ns":400000000}"#,
    "\n",
    r#"{"type":"renew","mono_ns":1300000000,"all":true,"ttl_ns":400000000}"#,
    "\n",
    r#"{"type":"renew","mono_ns":1600000000,"devices":["gpu-0"],"ttl_ns":400000000}"#,
    "\n",
);

pub fn judge(traces: &[(&str, &str)]) -> Result<Verdict, String> {
    let traces = traces
        .iter()
        .map(|(name, text)| ((*name).to_owned(), text.as_bytes()))
        .collect();
    merge(traces).map_err(|error| error.to_string())
}

pub fn sound() -> [(&'static str, &'static str); 3] {
    [
        ("plant.jsonl", PLANT),
        ("controller.jsonl", CONTROLLER),
        ("agent.jsonl", AGENT),
    ]
}

/// The sound traces with `from` replaced by `to` wherever it stands.
pub fn edited(from: &str, to: &str) -> Result<Verdict, String> {
    assert!(
        sound().iter().any(|(_, text)| text.contains(from)),
        "nothing to edit: {from}"
    );
    let texts = sound().map(|(name, text)| (name, text.replace(from, to)));
    judge(&texts.each_ref().map(|(name, text)| (*name, text.as_str())))
}
