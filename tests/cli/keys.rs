//! The life of a key in a home, by the commands that its owner types.

mod authority;
mod backup;
mod change;
mod ending;
mod from_file;
mod list;
mod prompts;
mod revoke;
mod smime;

use crate::support::lab::Lab;

/// A message from alice to bob.
const MESSAGE: &str = "From: alice@example.org\nTo: bob@example.org\nSubject: Lunch\n\nAt noon.\n";

/// The fingerprint of the only key of `protocol` for an address.
fn id(lab: &Lab, protocol: &str, address: &str) -> String {
    let text = lab.run(&["key", "show", "--json", address]).code(0).text();
    let objects = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let found: Vec<String> = objects
        .filter(|object| object["protocol"] == protocol)
        .map(|object| object["fingerprint"].as_str().expect("a fingerprint").to_owned())
        .collect();
    assert_eq!(found.len(), 1, "{text}");
    found[0].clone()
}
