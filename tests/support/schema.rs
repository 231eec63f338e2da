//! JSON against the schemas in docs/schema, as far as their keywords go.

use std::{fs, path::Path};

use serde_json::Value;

/// What in `value` does not fit the schema in this file of docs/schema, one line each.
pub(crate) fn faults(file: &str, value: &Value) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    faults_at(&schema, &schema, value, "")
}

fn faults_at(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("{name}: no such definition"));
        return faults_at(root, target, value, place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = Vec::new();
    let is_kind = match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        other => panic!("{place}: a type of {other}"),
    };
    if !is_kind {
        found.push(format!("{place}: is {kind}"));
    }
    if let Some(allowed) = schema["enum"].as_array().filter(|allowed| !allowed.contains(value)) {
        found.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(faults_at(root, &schema["items"], item, &format!("{place}[]")));
    }
    let Some(object) = value.as_object() else { return found };
    for required in schema["required"].as_array().into_iter().flatten() {
        if !object.contains_key(required.as_str().expect("a name")) {
            found.push(format!("{place}: has no {required}"));
        }
    }
    for (name, value) in object {
        let described = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        match described.filter(|described| described.is_object()) {
            Some(described) => found.extend(faults_at(root, described, value, &format!("{place}.{name}"))),
            None => found.push(format!("{place}: {name} is not described")),
        }
    }
    found
}
