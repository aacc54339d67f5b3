//! `/metrics` beside its documentation: every metric is documented, and every documented metric exists.

use std::collections::BTreeSet;
use std::fs;

use salon::server::refusals::Reason;

use crate::common::{Server, get};

/// All names of metrics in a text, without the suffixes of a histogram.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let names = text.split(word).filter(|name| name.starts_with("salon_"));
    let suffixes = ["_bucket", "_sum", "_count"];
    names.map(|name| suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name).to_owned()).collect()
}

fn document(name: &str) -> String {
    fs::read_to_string(format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn every_metric_is_documented_and_drawn() {
    let folder = std::env::temp_dir().join(format!("salon-metrics-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&chain, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    // With TLS and a store on disk there are some more.
    let tls =
        ["--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap(), "--tls-listen", "127.0.0.1:0"];
    let store = folder.join("salon.db");
    let server = Server::serve(&[&tls[..], &["--store", store.to_str().unwrap()]].concat());
    fs::remove_dir_all(&folder).unwrap();
    let (status, metrics) = get(server.admin.unwrap(), "/metrics");
    assert_eq!(status, 200);
    let said = names(&metrics);
    assert!(said.len() > 15, "{said:?}");
    assert_eq!(names(&document("metrics.md")), said);
    let rules = format!("{}/contrib/prometheus/alerts.yml", env!("CARGO_MANIFEST_DIR"));
    let rules = fs::read_to_string(rules).unwrap();
    let reasons: Vec<&str> =
        rules.split("reason=~\"").skip(1).flat_map(|rest| rest[..rest.find('"').unwrap()].split('|')).collect();
    assert!(
        reasons.len() > 5 && reasons.iter().all(|one| Reason::ALL.iter().any(|reason| reason.as_str() == *one)),
        "{reasons:?}"
    );
    let watched = names(&rules);
    assert!(watched.len() > 8 && watched.is_subset(&said), "{:?}", watched.difference(&said).collect::<Vec<_>>());
    let dashboard: serde_json::Value = serde_json::from_str(&document("grafana.json")).unwrap();
    assert_eq!(names(&dashboard.to_string()), said);
}

#[test]
fn the_format_is_what_prometheus_reads() {
    let server = Server::serve(&[]);
    let (_, answer) = get(server.admin.unwrap(), "/metrics");
    let (head, metrics) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    let mut kind = String::new();
    for line in metrics.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            kind = rest.split(' ').next().unwrap().to_owned();
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with(&kind), "{line} stands under {kind}");
            assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        }
    }
}
