//! The texts of `tests/cases/*.json`. See `README.md` there.

use serde_json::Value;

/// A text as the files write it: a string, or a list of parts that follow each other.
pub fn text(value: &Value) -> String {
    let of = |field: &str| value[field].as_u64().map(|count| usize::try_from(count).expect("a small number"));
    let list = |count: usize, item: &dyn Fn(usize) -> String| (0..count).map(item).collect::<Vec<_>>().join(",");
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(text).collect(),
        _ => match (of("times"), of("names"), of("fields")) {
            (Some(times), None, None) => text(&value["of"]).repeat(times),
            (None, Some(count), None) => list(count, &|n| format!(r#""n{n:03}""#)),
            (None, None, Some(count)) => list(count, &|n| format!(r#""field{n}":{n}"#)),
            _ => panic!("expected a text, found {value}"),
        },
    }
}
