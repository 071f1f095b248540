use std::collections::BTreeSet;
use std::sync::OnceLock;

use serde_json::Value;

use super::http::Answer;

/// What the edge is documented to answer: `docs/edge.openapi.yaml`.
pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_saphyr::from_str(include_str!("../../../docs/edge.openapi.yaml")).unwrap())
}

/// One answer of an operation: method, path, status, and code if it is a problem.
pub(crate) type Told = (String, String, u16, String);

/// Every answer of every operation.
pub(crate) fn all() -> BTreeSet<Told> {
    let mut all = BTreeSet::new();
    for (path, methods) in document()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let status = status.parse().unwrap();
                for code in codes(response) {
                    all.insert((method.to_uppercase(), path.clone(), status, code));
                }
            }
        }
    }
    all
}

/// The codes of a response; one empty one if it is no problem.
fn codes(response: &Value) -> Vec<String> {
    let Some(problem) = response["content"].get("application/problem+json") else { return vec![String::new()] };
    let codes = problem["schema"]["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// The documented path that this one is, if any.
pub(crate) fn path_of(path: &str) -> Option<&'static str> {
    let path = path.split('?').next().unwrap();
    let fits = |template: &&String| {
        let (theirs, ours): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(it, is)| *it == is || it.starts_with('{'))
    };
    document()["paths"].as_object().unwrap().keys().find(fits).map(String::as_str)
}

/// Fails unless this answer stands in the document, with the shape it has there.
pub(crate) fn documented(method: &str, path: &str, answer: &Answer) {
    let Some(template) = path_of(path).or_else(|| (answer.status == 404).then_some("")) else { return };
    if method == "OPTIONS" && answer.status != 405 {
        return;
    }
    let (status, code) = (answer.status.to_string(), answer.code());
    // Without a body nobody can tell the codes apart.
    if method == "HEAD" {
        return;
    }
    let lists = |codes: &Value| codes.as_array().is_some_and(|codes| codes.contains(&Value::from(code.clone())));
    if lists(&document()["x-everywhere"][&status]) {
        assert_fits(&document()["components"]["schemas"]["Problem"], &answer.json());
        return;
    }
    let response = &document()["paths"][template][method.to_lowercase()]["responses"][&status];
    assert!(!response.is_null() && codes(response).contains(&code), "{method} {path} is not documented: {answer:?}");
    let media_type = answer.header("content-type");
    match response["content"].as_object().and_then(|content| content.iter().next()) {
        Some((documented, content)) => {
            assert_eq!(media_type, Some(documented.as_str()), "{method} {path}");
            assert_fits(&content["schema"], &answer.json());
        }
        None => assert_eq!(answer.body, "", "{method} {path}"),
    }
}

/// Fails unless `value` is as `schema` says: as much of JSON Schema as the document uses.
pub(crate) fn assert_fits(schema: &Value, value: &Value) {
    if let Some(reference) = schema["$ref"].as_str() {
        return assert_fits(document().pointer(reference.trim_start_matches('#')).unwrap(), value);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        assert_fits(part, value);
    }
    match schema["type"].as_str() {
        Some("object") => assert!(value.is_object(), "{value} is no object"),
        Some("array") => assert!(value.is_array(), "{value} is no array"),
        Some("string") => assert!(value.is_string(), "{value} is no text"),
        Some("integer") => assert!(value.is_i64(), "{value} is no whole number"),
        Some("boolean") => assert!(value.is_boolean(), "{value} is no truth"),
        Some(other) => panic!("nobody checks {other}"),
        None => {}
    }
    if schema["format"] == "date-time" {
        humantime::parse_rfc3339(value.as_str().unwrap()).unwrap();
    }
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant);
    }
    if let Some(any) = schema["enum"].as_array() {
        assert!(any.contains(value), "{value} is none of {any:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{name} is missing in {value}");
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => assert_fits(schema, member),
            None => assert_ne!(schema["additionalProperties"], false, "{name} is not documented: {value}"),
        }
    }
    for item in value.as_array().into_iter().flatten() {
        assert_fits(&schema["items"], item);
    }
}
