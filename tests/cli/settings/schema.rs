//! The schema of the configuration: its tables, the rows of the page that follow from it, and whether a file fits it.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use toml::de::{DeTable, DeValue};

/// docs/schema/postseal.toml.schema.json.
pub(super) struct Schema {
    root: Value,
}

/// A table of the configuration.
pub(super) struct Table<'a> {
    /// The keys that lead to it. Empty for the top level.
    pub(super) path: Vec<String>,
    form: Form,
    node: &'a Value,
}

enum Form {
    /// `[key]`
    One,
    /// `[[key]]`
    Several,
}

impl Schema {
    pub(super) fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema/postseal.toml.schema.json");
        let root: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(root["$schema"], "https://json-schema.org/draft/2020-12/schema");
        Schema { root }
    }

    /// Every table, in an order in which a file can have them.
    pub(super) fn tables(&self) -> Vec<Table<'_>> {
        let mut tables = Vec::new();
        self.visit(&self.root, Vec::new(), &mut tables);
        tables
    }

    fn visit<'a>(&'a self, node: &'a Value, path: Vec<String>, tables: &mut Vec<Table<'a>>) {
        let node = self.resolved(node);
        let (form, node) = match node.get("items") {
            Some(items) => (Form::Several, self.resolved(items)),
            None => (Form::One, node),
        };
        if node.get("type").is_none_or(|kind| kind != "object") {
            return;
        }
        let table = Table { path: path.clone(), form, node };
        let properties: Vec<_> = table.properties().collect();
        tables.push(table);
        for (key, property) in properties {
            self.visit(property, [path.as_slice(), &[key.to_owned()]].concat(), tables);
        }
    }

    /// The definition that the node names, or the node itself.
    fn resolved<'a>(&'a self, node: &'a Value) -> &'a Value {
        match node.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#')) {
            Some(pointer) => self.root.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not defined")),
            None => node,
        }
    }

    /// The words that a value can be, in the order of the schema. Empty if any text will do.
    pub(super) fn words(&self, node: &Value) -> Vec<String> {
        let node = self.resolved(node);
        let mut words: Vec<String> = list(node, "enum").iter().filter_map(Value::as_str).map(str::to_owned).collect();
        for form in list(node, "anyOf").iter().chain(node.get("items")) {
            for word in self.words(form) {
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words
    }

    /// The rows that the page has for a table.
    pub(super) fn rows(&self, table: &Table<'_>) -> Vec<String> {
        let required = table.required();
        let open = Some(&table.node["additionalProperties"]).filter(|_| table.is_open());
        let open = open.map(|property| (property["x-key"].as_str().expect("a name for any key"), property));
        let row = |(key, property): (&str, &Value)| {
            let default = match (property.get("default"), property.get("x-default").and_then(Value::as_str)) {
                (Some(default), None) => format!("`{}`", written(default)),
                (None, Some(default)) => default.to_owned(),
                (None, None) if required.contains(key) => "required".to_owned(),
                (None, None) => "none".to_owned(),
                (Some(_), Some(_)) => panic!("{} {key}: two defaults", table.title()),
            };
            row(&[&format!("`{key}`"), &self.kind(property), &default, description(property)])
        };
        table.properties().chain(open).map(row).collect()
    }

    /// The rows that the page has for the types.
    pub(super) fn types(&self) -> Vec<String> {
        let definitions = self.root["$defs"].as_object().expect("definitions").iter();
        let types = definitions.filter(|(_, node)| self.words(node).is_empty());
        types.map(|(name, node)| row(&[name, description(node)])).collect()
    }

    /// The type and unit of a property, as on the page.
    fn kind(&self, property: &Value) -> String {
        let words = self.words(property);
        let kind = match (property.get("$ref").and_then(Value::as_str), property.get("type").and_then(Value::as_str)) {
            _ if !words.is_empty() => {
                let words = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
                if self.is_list(property) { format!("list of {words}") } else { words }
            }
            (Some(name), _) => name.trim_start_matches("#/$defs/").to_owned(),
            (None, Some("object")) => "table".to_owned(),
            (None, Some("array")) => "list of tables".to_owned(),
            (None, Some(kind)) => kind.to_owned(),
            (None, None) => panic!("{property} has no type"),
        };
        match property.get("x-unit").and_then(Value::as_str) {
            Some(unit) => format!("{kind} ({unit})"),
            None => kind,
        }
    }

    fn is_list(&self, node: &Value) -> bool {
        let node = self.resolved(node);
        node.get("items").is_some() || list(node, "anyOf").iter().any(|form| self.is_list(form))
    }

    /// What in a file does not fit the schema. Required keys may be missing: documents show parts of a file.
    pub(super) fn faults(&self, text: &str) -> Vec<String> {
        let table = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut faults = Vec::new();
        self.compare(&self.root, &json(&DeValue::Table(table.into_inner())), "", &mut faults);
        faults
    }

    fn compare(&self, node: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let node = self.resolved(node);
        let words = list(node, "enum");
        let Some(kind) = node.get("type").and_then(Value::as_str) else {
            let forms = list(node, "anyOf");
            if !words.is_empty() && !words.contains(value) {
                faults.push(format!("{at}: unknown word {value}"));
            }
            let fits = |form: &Value| {
                let mut faults = Vec::new();
                self.compare(form, value, at, &mut faults);
                faults.is_empty()
            };
            if !forms.is_empty() && !forms.iter().any(fits) {
                faults.push(format!("{at}: no form of it fits"));
            }
            return;
        };
        match (kind, value) {
            ("object", Value::Object(entries)) => {
                for (key, value) in entries {
                    let at = format!("{at}{}{key}", if at.is_empty() { "" } else { "." });
                    let property = node.get("properties").and_then(|properties| properties.get(key));
                    match property.or(node.get("additionalProperties").filter(|node| node.is_object())) {
                        Some(property) => self.compare(property, value, &at, faults),
                        None => faults.push(format!("{at}: unknown key")),
                    }
                }
            }
            ("array", Value::Array(values)) => {
                values.iter().for_each(|value| self.compare(&node["items"], value, at, faults));
            }
            ("boolean", Value::Bool(_)) | ("integer", Value::Number(_)) | ("string", Value::String(_)) => {}
            ("object" | "array", _) => faults.push(format!("{at}: not a table, or not a list")),
            _ => faults.push(format!("{at}: not a {kind}")),
        }
    }
}

impl<'a> Table<'a> {
    /// The title of its section on the page.
    pub(super) fn title(&self) -> &'a str {
        self.node["title"].as_str().expect("a title")
    }

    /// Whether it is at this key of the table at `path`.
    pub(super) fn is_at(&self, path: &[String], key: &str) -> bool {
        self.path.split_last().is_some_and(|(last, above)| last == key && above == path)
    }

    /// The line that begins it in a file.
    pub(super) fn header(&self) -> Option<String> {
        let path = self.path.join(".");
        match self.form {
            _ if path.is_empty() => None,
            Form::One => Some(format!("[{path}]")),
            Form::Several => Some(format!("[[{path}]]")),
        }
    }

    /// Whether any key may be in it.
    pub(super) fn is_open(&self) -> bool {
        match &self.node["additionalProperties"] {
            Value::Bool(false) => false,
            Value::Object(_) => true,
            other => panic!("{}: unknown keys are {other}", self.title()),
        }
    }

    pub(super) fn properties(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        let properties = self.node.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(key, property)| (key.as_str(), property))
    }

    pub(super) fn keys(&self) -> BTreeSet<String> {
        self.properties().map(|(key, _)| key.to_owned()).collect()
    }

    pub(super) fn required(&self) -> BTreeSet<String> {
        list(self.node, "required").iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// The array at a key of the schema, or none.
fn list<'a>(node: &'a Value, key: &str) -> &'a [Value] {
    node.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn description(node: &Value) -> &str {
    node["description"].as_str().unwrap_or_else(|| panic!("{node} has no description"))
}

fn row(cells: &[&str]) -> String {
    format!("| {} |", cells.iter().map(|cell| cell.replace('|', "\\|")).collect::<Vec<_>>().join(" | "))
}

/// A value as TOML.
fn written(value: &Value) -> String {
    match value {
        Value::Array(values) => format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::Boolean(truth) => (*truth).into(),
        DeValue::Integer(number) => number.as_str().replace('_', "").parse::<i64>().unwrap().into(),
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(table) => {
            table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect()
        }
        other => panic!("{} is in no setting", other.type_str()),
    }
}
