//! `[custody]`: layers of the sandbox without which no agent of the file gets a tool that starts
//! processes. Which can be had is the machine's to say, when the file is run there.

use crate::{
    document::{Section, listed, near},
    tools::LAYERS,
};

/// The layers that a file requires.
pub(super) fn read(all: &Section<'_, '_>) -> Vec<String> {
    let Some(table) = all.section("custody") else { return Vec::new() };
    table.only(&["require"]);
    let mut required = Vec::new();
    for name in table.texts("require") {
        if LAYERS.contains(&name.value.as_str()) {
            required.push(name.value);
        } else {
            let what = format!("no layer of custody is called {:?}", name.value);
            let meant = near(&name.value, LAYERS);
            table.sheet.note_near(name.span, what, listed(LAYERS), meant);
        }
    }
    required
}
