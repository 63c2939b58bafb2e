//! What a monitor reads.

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use super::skip;

/// The samples of a text, as Prometheus' own client for Python reads them: name and labels, and the value.
pub(crate) fn samples(text: &str) -> Option<BTreeMap<String, f64>> {
    // Prometheus itself is large, and is asked where it is there.
    if let Ok(mut promtool) = Command::new("promtool").args(["check", "metrics"]).stdin(Stdio::piped()).spawn() {
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(promtool.wait().unwrap().success(), "{text}");
    }
    if !Command::new("/usr/bin/python3")
        .args(["-c", "import prometheus_client"])
        .status()
        .is_ok_and(|status| status.success())
    {
        skip("python3-prometheus-client is not there");
        return None;
    }
    let script = "import sys, json\nfrom prometheus_client.parser import text_string_to_metric_families as read\nall = {}\n\
        for family in read(sys.stdin.read()):\n  assert family.documentation and family.type in ('gauge', 'counter', 'histogram'), family\n  \
        for sample in family.samples:\n    labels = ','.join(f'{k}={v}' for k, v in sorted(sample.labels.items()))\n    \
        key = f'{sample.name} {labels}'\n    assert key not in all\n    all[key] = sample.value\nprint(json.dumps(all))";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}
