//! Layers of the sandbox that a file requires.

use super::*;
use crate::tools::Holding;

const AGENT: &str = "[agents.a]\ninstructions = \"x\"\n";

#[test]
fn layers_are_required_by_name_and_a_name_that_is_none_is_a_mistake_with_what_was_meant() {
    let file = read(&format!("{AGENT}[custody]\nrequire = [\"files\", \"mounts\"]\n")).unwrap();
    assert_eq!(file.custody.require, ["files", "mounts"]);
    assert_eq!(read(AGENT).unwrap().custody, Holding::default());
    let said = read(&format!("{AGENT}[custody]\nrequire = [\"file\"]\n")).unwrap_err().to_string();
    assert!(said.contains("no layer of custody is called \"file\""), "{said}");
    assert!(said.contains("files") && said.contains("calls"), "{said}");
}

#[test]
fn how_many_processors_are_spared_is_the_files_to_say() {
    let file = read(&format!("{AGENT}[custody]\nspared_processors = 0\n")).unwrap();
    assert_eq!(file.custody, Holding { spared_processors: 0, ..Holding::default() });
    let said = read(&format!("{AGENT}[custody]\nspared_processors = -1\n")).unwrap_err();
    assert!(said.to_string().contains("a whole number from 0 to 1024"), "{said}");
}
