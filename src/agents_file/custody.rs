//! `[custody]`: how the processes of the file's agents are held, and layers of the sandbox without which
//! none is started. Which can be had is the machine's to say, when the file is run there.

use crate::{
    document::{Section, listed, near},
    tools::{Holding, LAYERS},
};

/// More processors than machines have.
const PROCESSORS: u64 = 1_024;

/// What a file wants.
pub(super) fn read(all: &Section<'_, '_>) -> Holding {
    let mut holding = Holding::default();
    let Some(table) = all.section("custody") else { return holding };
    table.only(&["require", "spared_processors"]);
    if let Some(spared) = table.number("spared_processors", 0..=PROCESSORS) {
        holding.spared_processors = spared;
    }
    for name in table.texts("require") {
        if LAYERS.contains(&name.value.as_str()) {
            holding.require.push(name.value);
        } else {
            let what = format!("no layer of custody is called {:?}", name.value);
            let meant = near(&name.value, LAYERS);
            table.sheet.note_near(name.span, what, listed(LAYERS), meant);
        }
    }
    holding
}
