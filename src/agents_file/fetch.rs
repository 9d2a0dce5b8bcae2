//! `[tools.fetch]`: the ports that are reached beside the Web's own. They are the file's and not an
//! agent's: whoever keeps it knows what listens there.

use crate::document::Section;

/// The tool.
pub(super) const NAME: &str = "fetch";

pub(super) fn read(table: &Section<'_, '_>) -> Vec<u16> {
    table.only(&["ports"]);
    let ports = table.numbers("ports", 1..=u64::from(u16::MAX));
    ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect()
}
