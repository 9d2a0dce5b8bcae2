//! Layers of the sandbox that a file requires.

use super::*;

const AGENT: &str = "[agents.a]\ninstructions = \"x\"\n";

#[test]
fn layers_are_required_by_name_and_a_name_that_is_none_is_a_mistake_with_what_was_meant() {
    let file = read(&format!("{AGENT}[custody]\nrequire = [\"files\", \"mounts\"]\n")).unwrap();
    assert_eq!(file.custody, ["files", "mounts"]);
    assert!(read(AGENT).unwrap().custody.is_empty());
    let said = read(&format!("{AGENT}[custody]\nrequire = [\"file\"]\n")).unwrap_err().to_string();
    assert!(said.contains("no layer of custody is called \"file\""), "{said}");
    assert!(said.contains("files") && said.contains("calls"), "{said}");
}
