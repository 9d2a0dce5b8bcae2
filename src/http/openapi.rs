//! The OpenAPI 3.1 document, made from the table of routes and the shapes of what they take and give:
//! nothing in it is written twice, so nothing in it can be out of date.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Ctx,
    problem::{CODES, Problem},
    routes::{self, Gives, Route},
    token::Scope,
};

/// `GET /openapi.json`.
pub(super) async fn serve(State(ctx): State<Ctx>) -> Response {
    let text = ctx.document.get_or_init(|| {
        let document = document(&routes::all(), &ctx.options.version);
        Bytes::from(document.to_string())
    });
    ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
}

/// The document of these routes.
pub(super) fn document(routes: &[Route], version: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    let problem = generator.subschema_for::<Problem>();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let operation = operation(route, &mut generator, &problem);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let scopes: Vec<_> = Scope::ALL.map(Scope::word).into();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Greenroom",
            "version": version,
            "description": "A runtime for LLM agents: sessions over an event log, their subagents, \
                what they spend and what they wait for.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "token": scopes }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    });
    bound(&mut document);
    document
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let mut parameters = in_path(route.path);
    if let Some(query) = route.query {
        parameters.extend(in_query(&query(generator), generator));
    }
    if route.changes() {
        parameters.push(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same request under the same key has one effect, and one answer",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        }));
    }
    let mut operation = json!({
        "operationId": name(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route, generator, problem),
        "security": match route.scope {
            Some(scope) => json!([{ "token": [scope.word()] }]),
            None => json!([]),
        },
    });
    if let Some(body) = route.body {
        let schema = body(generator);
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

/// `get /v1/sessions/{session}/tree` is `get_sessions_session_tree`.
fn name(route: &Route) -> String {
    let words = route.path.trim_start_matches("/v1");
    let words = words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = route.method.as_str().to_ascii_lowercase();
    words.fold(method, |name, word| format!("{name}_{word}"))
}

fn in_path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let parameter = |name: &str| {
        let schema = match name {
            "session" | "job" => json!({ "type": "string", "format": "uuid" }),
            "no" => json!({ "type": "integer", "minimum": 1, "maximum": u32::MAX }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        let mut parameter =
            json!({ "name": name, "in": "path", "required": true, "schema": schema });
        if name == "key" {
            parameter["description"] =
                "As the message's answer told it; what an address does not take is written `%XX`, \
                 a `/` as `%2F`"
                    .into();
        }
        parameter
    };
    names.map(parameter).collect()
}

fn in_query(query: &Schema, generator: &SchemaGenerator) -> Vec<Value> {
    let resolved = query.as_value().pointer("/$ref").and_then(Value::as_str);
    let name = resolved.and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    let Some(shape) = generator.definitions().get(name) else { return Vec::new() };
    let properties = shape.pointer("/properties").and_then(Value::as_object);
    let required = shape.pointer("/required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
    let parameter = |(name, schema): (&String, &Value)| json!({ "name": name, "in": "query", "required": is_required(name), "schema": told(schema) });
    properties.into_iter().flatten().map(parameter).collect()
}

/// A wish that is left out is left out: a query has no word for nothing.
fn told(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let is_null =
        |kind: &Value| kind == "null" || kind.get("type").is_some_and(|kind| kind == "null");
    for several in ["type", "anyOf", "enum"] {
        let Some(kinds) = schema.get_mut(several).and_then(Value::as_array_mut) else { continue };
        kinds.retain(|kind| !is_null(kind) && !kind.is_null());
        if several != "enum" && kinds.len() == 1 {
            let only = kinds.remove(0);
            if several == "type" {
                schema["type"] = only;
            } else if let Some(all) = schema.as_object_mut() {
                all.remove(several);
                all.extend(only.as_object().cloned().unwrap_or_default());
            }
        }
    }
    schema
}

/// What a whole number can hold, said in figures: a format is but a word to many readers.
fn bound(schema: &mut Value) {
    if let Some(all) = schema.as_object_mut() {
        let bounds = match all.get("format").and_then(Value::as_str) {
            Some("uint8") => Some((json!(0), json!(u8::MAX))),
            Some("uint32") => Some((json!(0), json!(u32::MAX))),
            Some("uint" | "uint64") => Some((json!(0), json!(u64::MAX))),
            Some("int64") => Some((json!(i64::MIN), json!(i64::MAX))),
            _ => None,
        };
        if let Some((least, most)) = bounds {
            all.entry("minimum").or_insert(least);
            all.entry("maximum").or_insert(most);
        }
    }
    match schema {
        Value::Object(all) => all.values_mut().for_each(bound),
        Value::Array(all) => all.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn responses(route: &Route, generator: &mut SchemaGenerator, problem: &Schema) -> Value {
    let content = match route.gives {
        Gives::Json(shape) => json!({ "application/json": { "schema": shape(generator) } }),
        Gives::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Gives::Text => json!({ "text/plain": { "schema": { "type": "string" } } }),
        Gives::Document => json!({ "application/json": { "schema": { "type": "object" } } }),
    };
    let mut all = Map::new();
    all.insert(route.status.to_string(), json!({ "description": "Done", "content": content }));
    let wrong = json!({ "application/problem+json": { "schema": problem } });
    for (code, status, title) in CODES {
        let known = all
            .entry(status.as_str())
            .or_insert_with(|| json!({ "description": String::new(), "content": wrong }));
        let words = known["description"].as_str().unwrap_or_default();
        let comma = if words.is_empty() { "" } else { "; " };
        known["description"] = format!("{words}{comma}{title} (`{code}`)").into();
    }
    Value::Object(all)
}
