//! `[tools.NAME]`: how a tool of the program is set up for every agent that has it, or a stand-in
//! that always answers the same; and `[services]`: values that tools find by name.

use std::collections::BTreeMap;

use greenroom_actors::{
    ServiceError, Services,
    domain::{
        ids::{PoolKind, ToolName},
        tool::{Args, EffectClass, Overlay, ToolSpec},
    },
    runtime::OWN_TOOLS,
};

use crate::document::{Placed, Section, listed, near};

use super::{
    StandIn, World,
    agents::is_word,
    fetch,
    search::{self, SearchSpec},
};

/// Whose slots stand-ins take.
const POOL: &str = "stand-ins";

/// The tools of a file.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// Tools that exist: the program's and the file's.
    known: Vec<String>,
    /// Those that read no settings.
    plain: Vec<String>,
    /// Further ports of the tool that fetches pages.
    pub(super) fetch_ports: Vec<u16>,
    pub(super) stand_ins: Vec<StandIn>,
    overlays: BTreeMap<String, Overlay>,
    /// Whom the search tool asks; within, what was wrong with it.
    search: Option<Option<SearchSpec>>,
}

impl Tools {
    /// How a tool is set up for everybody.
    pub(super) fn overlay(&self, name: &str) -> Overlay {
        self.overlays.get(name).cloned().unwrap_or_default()
    }

    /// How one agent sets a tool up.
    pub(super) fn own(&self, name: &str, tool: &Section<'_, '_>) -> Overlay {
        if self.plain.iter().any(|plain| plain == name) {
            only_without_settings(name, tool);
            return Overlay::new();
        }
        overlay(tool)
    }

    /// Notes a tool that an agent cannot have.
    pub(super) fn check(&self, agent: &str, name: &Placed<String>, list: &Section<'_, '_>) {
        let Placed { value, span } = name;
        if OWN_TOOLS.contains(&value.as_str()) {
            let what =
                format!("agent {agent:?} names {value:?}, which comes by itself with `routes`");
            list.sheet.note(span.clone(), what, "routes instead".to_owned());
        } else if !self.known.contains(value) {
            let known = || self.known.iter().map(String::as_str);
            let what = format!("agent {agent:?} has tool {value:?}, which does not exist");
            list.sheet.note_near(span.clone(), what, listed(known()), near(value, known()));
        } else if value == search::NAME && self.search.is_none() {
            search::missing(agent, name, list);
        }
    }

    /// Whom the search tool asks.
    pub(super) fn search(&mut self) -> Option<SearchSpec> {
        self.search.take().flatten()
    }
}

pub(super) fn read(all: &Section<'_, '_>, world: &World<'_>) -> Tools {
    let names = |of: &[ToolName]| of.iter().map(ToString::to_string).collect();
    let (known, plain) = (names(world.tools), names(world.plain));
    let mut tools = Tools { known, plain, ..Tools::default() };
    let Some(section) = all.section("tools") else { return tools };
    for (name, tool) in section.named() {
        let is_known = world.tools.iter().any(|known| known.as_str() == name.value);
        let taken = if OWN_TOOLS.contains(&name.value.as_str()) {
            Some("is the runtime's own")
        } else if is_known && tool.has("reply") {
            Some("exists already")
        } else {
            None
        };
        if let Some(why) = taken {
            let what = format!("tool {:?} {why}", name.value);
            section.sheet.note(name.span, what, "another name".to_owned());
        } else if name.value == search::NAME && is_known {
            tools.search = Some(search::read(&tool));
        } else if name.value == fetch::NAME && is_known {
            tools.fetch_ports = fetch::read(&tool);
        } else if is_known {
            let own = tools.own(&name.value, &tool);
            tools.overlays.insert(name.value, own);
        } else if tool.has("reply") {
            is_word(section.sheet, "a tool", &name);
            tools.known.push(name.value.clone());
            tools.plain.push(name.value.clone());
            tools.stand_ins.extend(stand_in(&name, &tool));
        } else {
            let known = || world.tools.iter().map(ToolName::as_str);
            let what = format!("tool {:?} does not exist", name.value);
            let expected = format!("{}; or a `reply`, for a stand-in", listed(known()));
            section.sheet.note_near(name.span, what, expected, near(&name.value, known()));
            // Agents that have it are not wrong as well.
            tools.known.push(name.value);
        }
    }
    tools
}

/// Notes every setting of a tool that would not read it.
fn only_without_settings(name: &str, tool: &Section<'_, '_>) {
    for (key, _value) in tool.settings(&[]) {
        let what = format!("tool {name:?} reads no setting {:?}", key.value);
        tool.sheet.note(key.span, what, "none: it is the same for everybody".to_owned());
    }
}

/// Simple values as a tool's configuration.
fn overlay(tool: &Section<'_, '_>) -> Overlay {
    tool.settings(&[]).into_iter().map(|(key, value)| (key.value, value)).collect()
}

fn stand_in(name: &Placed<String>, tool: &Section<'_, '_>) -> Option<StandIn> {
    tool.only(&["description", "reply", "effect", "schema"]);
    if !tool.has("description") {
        let what = format!("tool {:?} has no `description`", name.value);
        let expected = "a text that tells a model what the tool does".to_owned();
        tool.sheet.note(tool.span.clone(), what, expected);
    }
    let description = tool.words("description");
    let reply = tool.text("reply");
    let effects = [
        ("pure", EffectClass::Pure),
        ("idempotent", EffectClass::Idempotent),
        ("once", EffectClass::Once),
    ];
    let effect = tool.choice("effect", &effects).unwrap_or_default();
    let schema = tool.text("schema");
    if let Some(schema) = &schema
        && Args(schema.value.clone()).object().is_err()
    {
        let what = "`schema` is no JSON object".to_owned();
        let expected = r#"a JSON Schema such as '{"type": "object"}'"#.to_owned();
        tool.sheet.note(schema.span.clone(), what, expected);
    }
    let schema = schema.map_or_else(|| r#"{"type":"object"}"#.to_owned(), |schema| schema.value);
    let spec = ToolSpec {
        name: ToolName(name.value.clone()),
        description: description?.value,
        schema,
        effect,
        pool: PoolKind::from(POOL),
    };
    Some(StandIn { spec, reply: reply?.value })
}

/// Values for tools, by names that are free.
pub(super) fn services(all: &Section<'_, '_>) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let Some(section) = all.section("services") else { return found };
    for (name, value) in section.settings(&[]) {
        if let Err(ServiceError::Reserved { name: reserved }) =
            Services::default().with(&name.value, ())
        {
            let what = format!("service {reserved:?} has a name that the runtime reserves");
            section.sheet.note(name.span, what, "another name".to_owned());
            continue;
        }
        found.insert(name.value, value);
    }
    found
}
