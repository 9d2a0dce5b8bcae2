//! JSON in which no object says a key twice. Readers differ in which of two they take, so a rule could
//! be asked about one and the tool run with the other.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// A value of which no object, at any depth, says a key twice.
pub(super) struct Single(pub(super) Value);

impl<'de> Deserialize<'de> for Single {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Single;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Single, E> {
        Ok(Single(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Single, E> {
        Ok(Single(Value::Bool(value)))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Single, E> {
        Ok(Single(Value::Number(value.into())))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Single, E> {
        Ok(Single(Value::Number(value.into())))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Single, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("no finite number"))?;
        Ok(Single(Value::Number(number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Single, E> {
        Ok(Single(Value::String(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Single, A::Error> {
        let mut all = Vec::new();
        while let Some(Single(value)) = seq.next_element()? {
            all.push(value);
        }
        Ok(Single(Value::Array(all)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Single, A::Error> {
        let mut all = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if all.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} stands there twice")));
            }
            let Single(value) = map.next_value()?;
            all.insert(key, value);
        }
        Ok(Single(Value::Object(all)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_what_any_reader_reads_but_for_keys_that_stand_twice() {
        for text in [
            "null",
            "[true,-1,2,1.5e3,\"a\\u0000\\ud83d\\ude00\",[],{}]",
            r#"{"a":{"a":[{"a":1},{"a":2}]},"b":18446744073709551616}"#,
        ] {
            let Single(value) = serde_json::from_str(text).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap(), "{text}");
        }
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"\u0061":2}}]"#] {
            let error = serde_json::from_str::<Single>(text).map(drop).unwrap_err();
            assert!(error.to_string().starts_with("the key \"a\" stands there twice"), "{error}");
        }
    }
}
