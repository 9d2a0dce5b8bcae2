//! `[tools.fetch]`, and tools that read no settings.

use super::*;

#[test]
fn ports_beside_the_webs_own_are_named_once_for_all() {
    let agent = "[agents.a]\ninstructions = \"x\"\n";
    let file = read(&format!("[tools.fetch]\nports = [8080, 0x1F91]\n{agent}")).unwrap();
    assert_eq!(file.fetch_ports, [8080, 8081]);
    assert_eq!(read(agent).unwrap().fetch_ports, Vec::<u16>::new());
    for (section, words) in [
        ("ports = [0]", "expected a list of whole numbers from 1 to 65535"),
        ("ports = [80, 65536]", "expected a list of whole numbers from 1 to 65535"),
        ("ports = 8080", "`ports` is a whole number"),
        ("ports = [\"8080\"]", "expected a list of whole numbers"),
        ("port = [8080]", "did you mean \"ports\"?"),
    ] {
        let told = read(&format!("[tools.fetch]\n{section}\n")).unwrap_err().to_string();
        assert!(told.contains(words), "{section}: {told}");
    }
}

#[test]
fn a_setting_that_its_tool_would_not_read_is_a_mistake() {
    wrong(
        r#"[agents.a]
instructions = "x"
tools = { fetch = { cwd = "/srv" } }
"#,
        r#"
f.toml:3:21: tool "fetch" reads no setting "cwd"
  3 | tools = { fetch = { cwd = "/srv" } }
    |                     ^^^ expected none: it is the same for everybody
"#,
    );
    let told = read(
        "[tools.stamp]\ndescription = \"Stamps.\"\nreply = \"stamped\"\n[agents.a]\n\
         instructions = \"x\"\ntools = { stamp = { ink = 3 }, fetch = {} }\n",
    );
    let told = told.unwrap_err().to_string();
    assert!(told.contains("tool \"stamp\" reads no setting \"ink\""), "{told}");
    assert!(told.contains("f.toml has a mistake"), "no settings at all are fine: {told}");
}
