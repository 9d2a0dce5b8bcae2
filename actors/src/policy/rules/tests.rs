//! The meaning of rules as one table, then what the table cannot say: layers, links, modes, errors.
//! The laws are in `laws`.

mod argv;
mod bounds;
mod fences;
mod laws;
mod raised;

use super::*;
use crate::domain::{permission::RulePattern, tool::Args};

pub(super) fn pattern(text: &str) -> RulePattern {
    RulePattern(text.to_owned())
}

/// `deny A | ask B | allow C` as a rule set.
pub(super) fn rules(text: &str) -> RuleSet {
    let mut set = RuleSet::default();
    for rule in text.split(" | ").filter(|rule| !rule.is_empty()) {
        let (decision, pattern) = rule.split_once(' ').expect("`deny X`, `ask X` or `allow X`");
        let decision = match decision {
            "deny" => Decision::Deny,
            "ask" => Decision::Ask,
            "allow" => Decision::Allow,
            other => panic!("{other} is no decision"),
        };
        set.push(Rule { decision, pattern: RulePattern(pattern.to_owned()) });
    }
    set
}

/// `tool {json}`, or `tool text` with the text as the argument that the tool's rules read.
pub(super) fn request(text: &str) -> Request {
    let (tool, rest) = text.split_once(' ').unwrap_or((text, "{}"));
    let key = match tool {
        "shell" | "Bash" => "command",
        "fetch" | "WebFetch" => "url",
        _ => "path",
    };
    let args = if rest.starts_with('{') && !matches!(tool, "shell") {
        rest.to_owned()
    } else {
        serde_json::json!({ key: rest }).to_string()
    };
    Request { tool: tool.into(), args: Args(args), cwd: Some("/ws".to_owned()) }
}

pub(super) fn policy(layers: &Layers, desk: Desk) -> Policy {
    Policy::compile(layers, desk).unwrap().at(Places {
        home: Some("/home/u".to_owned()),
        user: Some("/home/u/.greenroom".to_owned()),
        project: Some("/ws".to_owned()),
        ..Places::default()
    })
}

pub(super) fn user(text: &str) -> Policy {
    policy(&Layers { user: rules(text), ..Layers::default() }, Desk::Staffed)
}

pub(super) const fn standing(authority: &[Authority]) -> Standing<'_> {
    Standing::new(authority)
}

pub(super) fn link(text: &str, mode: Mode) -> Authority {
    Authority { rules: rules(text), mode, ..Authority::default() }
}

#[track_caller]
fn check(layer: &str, asked: &str, want: Decision) {
    let verdict = decide(&user(layer), &standing(&[]), &request(asked));
    assert_eq!(verdict.decision, want, "{asked:?} under {layer:?}: {:?}", verdict.reasons);
    assert!(!verdict.reasons.is_empty());
    assert_eq!(verdict.proposal.is_some(), want == Decision::Ask);
}

const ALLOW: Decision = Decision::Allow;
const ASK: Decision = Decision::Ask;
const DENY: Decision = Decision::Deny;

#[test]
fn names_and_lists_decide_as_the_table_says() {
    let table = [
        // Nothing decides.
        ("", "shell ls", ASK),
        ("", "anything {}", ASK),
        ("allow other", "tool {}", ASK),
        // Deny, then ask, then allow; how specific a rule is does not matter.
        ("allow tool", "tool {}", ALLOW),
        ("allow tool | ask tool", "tool {}", ASK),
        ("allow tool | ask tool | deny tool", "tool {}", DENY),
        ("deny create* | allow createPlan", "createPlan {}", DENY),
        ("deny create* | allow createPlan", "createIssue {}", DENY),
        ("allow create* | deny createIssue", "createPlan {}", ALLOW),
        ("allow tool(a:x) | deny tool", "tool {\"a\":\"x\"}", DENY),
        ("deny *", "anything {}", DENY),
        ("allow *", "anything {}", ALLOW),
        ("allow *", "shell rm -rf / ; echo $(x)", ALLOW),
        ("allow tool", "tool2 {}", ASK),
        ("allow tool", "Tool {}", ASK),
        // Both spellings of a tool.
        ("deny Bash", "shell ls", DENY),
        ("deny shell", "Bash {\"command\":\"ls\"}", DENY),
        ("allow Read", "read_file a", ALLOW),
        ("allow Edit", "edit_file a", ALLOW),
        ("allow Edit", "write_file a", ALLOW),
        ("allow edit_file", "write_file a", ASK),
        ("allow Write", "edit_file a", ASK),
        ("deny B*", "shell ls", DENY),
        // Servers of tools.
        ("allow mcp__git", "mcp__git__log {}", ALLOW),
        ("allow mcp__git", "mcp__github__log {}", ASK),
        ("allow mcp__git__log", "mcp__git__log {}", ALLOW),
        ("allow mcp__git__log", "mcp__git__push {}", ASK),
        ("allow mcp__git__*", "mcp__git__push {}", ALLOW),
        ("allow mcp__git", "mcp__git__evil__push {}", ASK),
        ("deny mcp__git", "mcp__git__evil__push {}", DENY),
        ("deny mcp__git", "mcp__gitlab__push {}", ASK),
        ("deny mcp__*", "mcp__any__thing {}", DENY),
        ("allow mcp__git(branch:main)", "mcp__git__log {\"branch\":\"main\"}", ALLOW),
        ("allow mcp__git(branch:main)", "mcp__git__log {\"branch\":\"dev\"}", ASK),
    ];
    for (layer, asked, want) in table {
        check(layer, asked, want);
    }
}

#[test]
fn generic_specs_decide_as_the_table_says() {
    let table = [
        ("allow tool(a:x*)", "tool {\"a\":\"xy\"}", ALLOW),
        ("allow tool(a:x)", "tool {\"a\":\"xy\"}", ASK),
        ("allow tool(a:x)", "tool {\"b\":\"x\"}", ASK),
        ("allow tool(n:3)", "tool {\"n\":3}", ALLOW),
        ("allow tool(a:*)", "tool {\"a\":[\"x\"]}", ASK),
        ("allow tool(a:*) | deny tool(a:x)", "tool {\"a\":[\"x\"]}", ASK),
        ("allow tool | deny tool(a:x)", "tool {\"a\":[\"x\"]}", ASK),
        ("allow tool(x*)", "tool {\"only\":\"xy\"}", ALLOW),
        ("allow tool(x*)", "tool {\"one\":\"xy\",\"two\":\"xy\"}", ASK),
        ("deny tool(x*)", "tool {\"one\":\"a\",\"two\":\"xy\"}", DENY),
        ("allow tool({\"a\":1,\"b\":*})", "tool { \"b\": 2, \"a\": 1 }", ALLOW),
        ("allow tool(a:\\*)", "tool {\"a\":\"*\"}", ALLOW),
        ("allow tool(a:\\*)", "tool {\"a\":\"x\"}", ASK),
        ("allow get(https://a.org/*)", "get {\"u\":\"https://a.org/b\"}", ALLOW),
        // What cannot be compared is not allowed, and not waved through either.
        ("allow tool(a:*)", "tool {not json", ASK),
        ("allow tool | deny tool(a:x)", "tool {not json", ASK),
        ("allow tool", "tool {not json", ALLOW),
        // A generic spec does not open what has a reading of its own.
        ("allow sh*(*)", "shell ls", ASK),
        ("allow rea*(path:*)", "read_file /etc/shadow", ASK),
        ("deny sh*(*rm*)", "shell rm x", DENY),
    ];
    for (layer, asked, want) in table {
        check(layer, asked, want);
    }
}

#[test]
fn commands_are_allowed_only_when_plain_as_the_table_says() {
    let table = [
        ("allow Bash(tool:*)", "shell tool", ALLOW),
        ("allow Bash(git:*)", "shell git status", ALLOW),
        ("allow Bash(tool *)", "shell tool", ALLOW),
        ("allow Bash(git *)", "shell git  status -s", ALLOW),
        ("allow Bash(git *)", "shell gitk", ASK),
        ("allow Bash(git*)", "shell gitk", ALLOW),
        ("allow Bash(git)", "shell git status", ASK),
        ("allow shell(git status)", "shell git status", ALLOW),
        ("allow Bash(tool * main)", "shell tool push main", ALLOW),
        ("allow Bash(tool * main)", "shell tool push dev", ASK),
        // Of a program whose commands are listed, a rule for the whole program covers those alone.
        ("allow Bash(git *)", "shell git push", ASK),
        ("allow Bash(git *)", "shell git -c core.pager=x log", ASK),
        ("allow Bash(git push *)", "shell git push origin", ALLOW),
        ("allow Bash(git push)", "shell git push", ALLOW),
        ("allow Bash(npm run test:*)", "shell npm run test unit", ALLOW),
        ("allow Bash(npm run test:*)", "shell npm run testing", ASK),
        ("allow Bash(echo:*)", "shell echo a; rm b", ASK),
        ("allow Bash(echo:*)", "shell echo a && rm b", ASK),
        ("allow Bash(echo:*)", "shell echo a | sh", DENY),
        ("allow Bash(echo:*)", "shell echo a | echo b", ALLOW),
        ("allow Bash(echo:*)", "shell echo a & rm b", ASK),
        ("allow Bash(echo:*)", "shell echo a > b", ASK),
        ("allow Bash(echo:*)", "shell echo $(rm b)", ASK),
        ("allow Bash(echo:*)", "shell echo `rm b`", ASK),
        ("allow Bash(echo:*)", "shell echo a\nrm b", ASK),
        ("allow Bash(echo:*)", "shell echo 'a'", ALLOW),
        ("allow Bash(echo:*)", "shell echo \"a\"", ALLOW),
        // The grammar loses a blank that is escaped.
        ("allow Bash(echo:*)", "shell echo a\\ b", ALLOW),
        ("allow Bash(echo:*)", "shell echo *", ALLOW),
        ("allow Bash(echo:*)", "shell echo ~", ALLOW),
        ("allow Bash(echo:*)", "shell echo {a,b}", ASK),
        ("allow Bash(echo:*)", "shell echo\u{200b} a", ASK),
        ("allow Bash(X=1:*)", "shell X=1 echo", ASK),
        ("allow Bash(ls:*)", "shell {\"cmd\":\"ls\"}", ASK),
        ("allow Bash(ls:*)", "Bash {\"command\":7}", ASK),
        ("allow Bash(ls:*)", "Bash {\"command\":\"ls\",\"args\":[\"-l\"]}", ALLOW),
        ("allow Bash(ls:*)", "Bash {\"command\":\"ls\",\"args\":[\";rm\"]}", ASK),
    ];
    for (layer, asked, want) in table {
        check(layer, asked, want);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of cases is read as a whole")]
fn commands_are_denied_through_any_wrapping_as_the_table_says() {
    let layer =
        "allow Bash | deny Bash(curl:*) | deny Bash(rm -rf *) | deny Bash(git push --force *)";
    let table = [
        ("curl x", DENY),
        ("curl", DENY),
        ("curlx", ALLOW),
        ("ls curl", ALLOW),
        ("git log --grep curl", ALLOW),
        ("/usr/bin/curl x", DENY),
        ("ls; curl x", DENY),
        ("ls && curl x", DENY),
        ("ls || curl x", DENY),
        ("ls | curl x", DENY),
        ("ls & curl x", DENY),
        ("ls\ncurl x", DENY),
        ("! curl x", DENY),
        ("(curl x)", DENY),
        ("{ curl x; }", DENY),
        ("f(){ curl x; }; f", DENY),
        ("echo $(curl x)", DENY),
        ("echo `curl x`", DENY),
        ("echo $((a[$(curl x)]))", DENY),
        ("cat <<E\n$(curl x)\nE", DENY),
        ("cat <(curl x)", DENY),
        ("'curl' x", DENY),
        ("\"cu\"rl x", DENY),
        ("c\\url x", DENY),
        ("cu\\\nrl x", DENY),
        ("\\curl x", DENY),
        ("bash -c 'curl x'", DENY),
        ("bash -c \"ls; curl x\"", DENY),
        ("env -i A=1 curl x", DENY),
        ("A=1 curl x", DENY),
        ("sudo -u root curl x", DENY),
        ("timeout 5 curl x", DENY),
        ("exec curl x", DENY),
        ("xargs curl", DENY),
        ("find . -exec curl x", DENY),
        ("if true; then curl x; fi", DENY),
        ("echo {a,$(curl x)}", DENY),
        ("{curl,x}", DENY),
        (">/dev/null curl x", DENY),
        ("2>&1 curl x", DENY),
        ("git push 2>x --force", DENY),
        ("rm 2>&1 -rf /", DENY),
        ("ls #\ncurl x", DENY),
        // What runs is known only when it runs: a person looks.
        ("x=curl; $x y", ASK),
        ("$'\\x63url' y", DENY),
        ("c${z}url y", ASK),
        ("c*l y", ASK),
        ("echo Y3VybA== | base64 -d | sh", DENY),
        ("eval \"$x\"", DENY),
        ("rm $flags /", ASK),
        // Words are compared, not prefixes of them.
        ("rm file.txt", ALLOW),
        ("rm -rf /", DENY),
        ("rm  -rf   /", DENY),
        ("rm -rf", DENY),
        ("git push", ALLOW),
        ("git push --force origin", DENY),
        ("git push --forced", ALLOW),
        ("echo $HOME", ALLOW),
    ];
    for (command, want) in table {
        check(layer, &format!("shell {command}"), want);
    }
    check("allow Bash | deny Bash(* --force *)", "shell git push --force origin", DENY);
    check("allow Bash | deny Bash(git *)", "Bash {\"command\":\"x\",\"other\":1}", ALLOW);
    check("allow Bash | deny Bash(git *)", "Bash {\"command\":[\"git\"]}", ASK);
    check("allow Bash | ask Bash(git push *)", "shell ls; git push", ASK);
    let long = format!("shell {}", "echo a ".repeat(10_000));
    check("allow Bash(echo *)", &long, ASK);
    check("allow Bash | deny Bash(curl *)", &long, ASK);
    check("allow Bash | deny Bash(curl *)", &format!("shell curl x;{long}"), DENY);
}

#[test]
fn paths_decide_as_the_table_says() {
    let table = [
        ("allow Read(./src/**)", "read_file src/a/b.rs", ALLOW),
        ("allow Read(./src/**)", "read_file /ws/src/a.rs", ALLOW),
        ("allow Read(./src/**)", "read_file ./src/./a.rs", ALLOW),
        ("allow Read(./src/**)", "read_file srcs/a.rs", ASK),
        ("allow Read(./src/**)", "read_file src/../../etc/passwd", ASK),
        ("allow Read(./src/**)", "read_file /etc/src/a.rs", ASK),
        ("allow Read(src/*.rs)", "read_file src/a.rs", ALLOW),
        ("allow Read(src/*.rs)", "read_file src/b/a.rs", ASK),
        ("allow Read(src/**/*.rs)", "read_file src/b/c/a.rs", ALLOW),
        ("allow Read(src/**/*.rs)", "read_file src/a.rs", ALLOW),
        ("allow Read(*.md)", "read_file deep/down/a.md", ALLOW),
        ("allow Read(*.md)", "read_file /etc/a.md", ASK),
        ("allow Read(src/)", "read_file src/a", ALLOW),
        ("allow Read(src/)", "read_file src", ASK),
        ("allow Read([a-c]?.txt)", "read_file b1.txt", ALLOW),
        ("allow Read([!a-c]?.txt)", "read_file b1.txt", ASK),
        ("allow Read(//tmp/**)", "read_file /tmp/a", ALLOW),
        ("allow Read(//tmp/**)", "read_file /tmp/../etc/passwd", ASK),
        ("allow Read(/a/**)", "read_file /home/u/.greenroom/a/b", ALLOW),
        ("allow Read(/a/**)", "read_file /a/b", ASK),
        ("allow Read(~/notes/**)", "read_file /home/u/notes/a", ALLOW),
        ("allow Read(~/notes/**)", "read_file ~/notes/a", ASK),
        ("allow Read | deny Read(.env)", "read_file deep/.env", DENY),
        ("allow Read | deny Read(.env)", "read_file /elsewhere/.env", DENY),
        ("allow Read | deny Read(.env)", "read_file .env.example", ALLOW),
        ("allow Read | deny Read(.git)", "read_file .git/config", DENY),
        ("allow Read | deny Read(//etc)", "read_file /etc/passwd", DENY),
        ("allow Read | deny Read(//etc/**)", "read_file ../etc/passwd", DENY),
        ("allow Read | deny Read(//etc/**)", "read_file //etc//passwd", DENY),
        ("allow Read | deny Read(//etc/**)", "read_file /x/../etc/passwd", DENY),
        ("allow Read | deny Read(//etc/**)", "read_file /etcetera/x", ALLOW),
        ("allow Read | deny Read(~/.ssh/**)", "read_file /home/u/.ssh/id", DENY),
        ("allow Read | deny Read(~/.ssh/**)", "read_file ~/.ssh/id", DENY),
        ("allow Read | deny Read(~/.ssh/**)", "read_file ~other/.ssh/id", ASK),
        ("allow Read | deny Read(//etc/**)", "read_file {\"path\":\"a\\u0000b\"}", ASK),
        ("allow Read | deny Read(//etc/**)", "read_file {\"path\":\"a\",\"file_path\":\"b\"}", ASK),
        ("allow Read | deny Read(//etc/**)", "read_file {\"file_path\":\"/etc/b\"}", DENY),
        ("allow Read | deny Read(//etc/**)", "read_file {}", ASK),
        ("deny Edit(/.git/**)", "write_file x", ASK),
        ("allow Read(//etc/**)", "write_file /etc/x", ASK),
        ("deny Edit(//ws/.git/**)", "write_file .git/hooks/x", DENY),
    ];
    for (layer, asked, want) in table {
        check(layer, asked, want);
    }
}

#[test]
fn addresses_decide_as_the_table_says() {
    let table = [
        ("allow WebFetch(domain:a.org)", "fetch https://a.org/x", ALLOW),
        ("allow WebFetch(domain:a.org)", "fetch http://A.ORG:8080", ALLOW),
        ("allow WebFetch(domain:a.org)", "fetch https://a.org./x", ALLOW),
        ("allow WebFetch(domain:a.org)", "fetch https://b.a.org/x", ASK),
        ("allow WebFetch(domain:*.a.org)", "fetch https://b.a.org/x", ALLOW),
        ("allow WebFetch(domain:*.a.org)", "fetch https://ba.org/x", ASK),
        ("allow WebFetch(domain:a.org)", "fetch https://a.org.evil.test/", ASK),
        ("allow WebFetch(domain:a.org)", "fetch https://a.org@evil.test/", ASK),
        ("allow WebFetch(domain:a.org)", "fetch https://evil.test\\@a.org/", ASK),
        ("allow WebFetch(domain:a.org)", "fetch https://evil.test#.a.org", ASK),
        ("allow WebFetch(domain:a.org)", "fetch ftp://a.org/", ASK),
        ("allow fetch | deny WebFetch(domain:a.org)", "fetch https://b.a.org/", DENY),
        ("allow fetch | deny WebFetch(domain:a.org)", "fetch https://xa.org/", ALLOW),
        ("allow fetch | deny fetch(domain:127.0.0.1)", "fetch http://127.0.0.1/", DENY),
        ("allow fetch | deny fetch(domain:127.0.0.1)", "fetch http://2130706433/", ASK),
        ("allow fetch | deny fetch(domain:127.0.0.1)", "fetch http://0x7f.1/", ASK),
        ("allow fetch | deny fetch(domain:a.org)", "fetch http://u:p@a.org/", ASK),
        ("allow fetch(https://a.org/*)", "fetch https://a.org/x?y=1", ALLOW),
        ("allow fetch(url:https://a.org/*)", "fetch https://a.org/x", ALLOW),
        ("allow fetch(https://a.org*)", "fetch https://a.org@evil.test/", ASK),
    ];
    for (layer, asked, want) in table {
        check(layer, asked, want);
    }
}

#[test]
fn patterns_without_a_meaning_say_where_and_how_to_mend_them() {
    let table = [
        ("", 0, Fault::NoName),
        ("(x)", 0, Fault::NoName),
        ("Bash ls", 4, Fault::BadName),
        ("Bäsh", 1, Fault::BadName),
        ("Bash(ls", 7, Fault::Unclosed),
        ("Bash(ls) ", 8, Fault::AfterEnd),
        ("Bash(ls)x", 8, Fault::AfterEnd),
        ("Bash()", 5, Fault::NoSpec),
        ("Bash( )", 5, Fault::NoSpec),
        ("Bash(:*)", 5, Fault::NoSpec),
        ("Bash(git:* push)", 5, Fault::ColonInside),
        ("Read(!a)", 5, Fault::BadPath),
        ("Read([a)", 5, Fault::BadPath),
        ("Read(../a)", 5, Fault::BadPath),
        ("WebFetch(domain:)", 9, Fault::BadDomain),
        ("WebFetch(domain:https://a.org)", 9, Fault::BadDomain),
    ];
    for (text, at, fault) in table {
        let found = check_one(text).unwrap_err();
        assert_eq!((found.at, found.fault), (at, fault), "{text:?}");
        assert!(found.to_string().contains(fault.mend()), "{found}");
    }
    assert_eq!(check_one(&"a".repeat(5_000)).unwrap_err().fault, Fault::TooLong);
    let layers = Layers { project: rules("ask Bash(ls"), ..Layers::default() };
    let error = Policy::compile(&layers, Desk::Staffed).unwrap_err().to_string();
    assert!(error.contains("project, ask"), "{error}");
}

fn check_one(text: &str) -> Result<(), RuleError> {
    super::check(&RuleSet { allow: vec![pattern(text)], ..RuleSet::default() })
}

#[test]
fn every_layer_can_deny_and_only_the_project_cannot_allow() {
    let build = |at: usize, text: &str| {
        let mut layers = Layers::default();
        let slots =
            [&mut layers.builtin, &mut layers.user, &mut layers.project, &mut layers.standing];
        *slots.into_iter().nth(at).unwrap() = rules(text);
        layers
    };
    for (at, name) in ["built-in", "user", "project", "standing"].iter().enumerate() {
        let mut denying = build(at, "deny tool");
        if at != 1 {
            denying.user = rules("allow tool");
        }
        let verdict = decide(&policy(&denying, Desk::Staffed), &standing(&[]), &request("tool"));
        assert_eq!(verdict.decision, DENY, "{name}");
        assert_eq!(verdict.reasons, [format!("{name}: deny tool")]);
        let allowing = policy(&build(at, "allow tool"), Desk::Staffed);
        let verdict = decide(&allowing, &standing(&[]), &request("tool"));
        assert_eq!(verdict.decision, if at == 2 { ASK } else { ALLOW }, "{name}");
        let ignored = verdict.reasons.iter().any(|reason| reason.contains("may only tighten"));
        assert_eq!(ignored, at == 2);
    }
}

#[test]
fn links_intersect_as_the_table_says() {
    let table: &[(&str, &[&str], Decision)] = &[
        ("", &[], ASK),
        ("", &["", "allow tool"], ALLOW),
        ("", &["allow tool", ""], ALLOW),
        ("", &["allow tool", "allow tool"], ALLOW),
        ("", &["allow other", "allow tool"], ASK),
        ("", &["deny tool", "allow tool"], DENY),
        ("", &["allow tool", "deny tool"], DENY),
        ("", &["ask tool", "allow tool"], ASK),
        ("", &["deny other", "allow tool"], ALLOW),
        ("allow tool", &["", ""], ALLOW),
        ("allow tool", &["allow other"], ALLOW),
        ("allow tool", &["deny tool"], DENY),
        ("deny tool", &["allow tool"], DENY),
        ("ask tool", &["allow tool"], ASK),
        ("", &["", "", "", "deny tool", "", "allow tool"], DENY),
        ("", &["allow tool", "allow *", "allow t*"], ALLOW),
        ("", &["allow tool(", "allow tool"], ASK),
        ("allow tool", &["deny tool("], DENY),
        ("allow tool", &["ask tool("], DENY),
    ];
    for (layer, links, want) in table {
        let chain: Vec<_> = links.iter().map(|text| link(text, Mode::Default)).collect();
        let verdict = decide(&user(layer), &standing(&chain), &request("tool"));
        assert_eq!(verdict.decision, *want, "{links:?} under {layer:?}: {:?}", verdict.reasons);
    }
}

#[test]
fn a_reason_says_whose_rule_it_is_as_the_one_who_reads_it_knows_them() {
    let open = || link("", Mode::Default);
    let check = |links: &[Authority], reason: &str| {
        let verdict = decide(&user(""), &standing(links), &request("tool {}"));
        assert_eq!(verdict.reasons, [reason]);
    };
    let strict = || link("deny tool", Mode::Default);
    check(&[strict()], "its agent: deny tool");
    check(&[open(), strict()], "its agent: deny tool");
    check(&[strict(), open()], "the agent above it: deny tool");
    check(&[strict(), open(), open()], "the agent 2 levels above it: deny tool");
    let narrow = link("allow other", Mode::Default);
    check(&[open(), narrow], "its agent: none of its allow rules matches");
}

#[test]
fn modes_turn_asks_and_never_denies_as_the_table_says() {
    use EffectClass::{Once, Pure};
    use Mode::{AcceptEdits, BypassPermissions, Default, DontAsk, Plan};
    type Row = (&'static str, &'static [Mode], Option<Mode>, EffectClass, &'static str, Decision);
    let table: &[Row] = &[
        ("", &[Plan], None, Once, "tool", DENY),
        ("allow tool", &[Plan], None, Once, "tool", DENY),
        ("allow tool", &[Plan], None, Pure, "tool", ALLOW),
        ("", &[Plan], None, Pure, "tool", ASK),
        ("", &[DontAsk], None, Once, "tool", DENY),
        ("allow tool", &[DontAsk], None, Once, "tool", ALLOW),
        ("", &[DontAsk, Plan], None, Pure, "tool", DENY),
        ("", &[AcceptEdits], None, Once, "tool", ASK),
        ("", &[AcceptEdits], None, Once, "edit_file a", ALLOW),
        ("", &[AcceptEdits], None, Once, "write_file a", ALLOW),
        ("", &[AcceptEdits], None, Once, "read_file a", ASK),
        ("deny Edit(.env)", &[AcceptEdits], None, Once, "edit_file .env", DENY),
        ("", &[BypassPermissions], None, Once, "tool", ALLOW),
        ("ask tool", &[BypassPermissions], None, Once, "tool", ALLOW),
        ("deny tool", &[BypassPermissions], None, Once, "tool", DENY),
        ("deny tool(a:x)", &[BypassPermissions], None, Once, "tool {\"a\":[]}", ASK),
        ("deny Bash(rm:*)", &[BypassPermissions], None, Once, "shell $x", ASK),
        // The strictest of the chain and of the override.
        ("", &[Default, BypassPermissions], None, Once, "tool", ASK),
        ("", &[BypassPermissions, Default], None, Once, "tool", ASK),
        ("", &[BypassPermissions; 3], None, Once, "tool", ALLOW),
        ("", &[BypassPermissions], Some(Default), Once, "tool", ASK),
        ("", &[BypassPermissions], Some(Plan), Once, "tool", DENY),
        ("", &[Default], Some(BypassPermissions), Once, "tool", ASK),
        ("", &[Plan], Some(BypassPermissions), Once, "tool", DENY),
        ("", &[], Some(BypassPermissions), Once, "tool", ASK),
        ("", &[], Some(DontAsk), Once, "tool", DENY),
    ];
    for (layer, modes, own, effect, asked, want) in table {
        let chain: Vec<_> = modes.iter().map(|mode| link("", *mode)).collect();
        let standing = Standing { mode: *own, effect: *effect, ..standing(&chain) };
        let verdict = decide(&user(layer), &standing, &request(asked));
        let row = (layer, modes, own, effect, asked);
        assert_eq!(verdict.decision, *want, "{row:?}: {:?}", verdict.reasons);
    }
}

#[test]
fn a_waiver_answers_asks_and_never_a_deny_or_a_doubt() {
    let table = [
        ("", "tool {}", ALLOW),
        ("ask tool", "tool {}", ALLOW),
        ("deny tool", "tool {}", DENY),
        ("deny Bash(curl:*)", "shell ls; curl x", DENY),
        ("deny Bash(curl:*)", "shell $x", ASK),
        ("deny tool(a:x)", "tool {broken", ASK),
    ];
    for (layer, asked, want) in table {
        let waived = Standing { asks_waived: true, ..standing(&[]) };
        let verdict = decide(&user(layer), &waived, &request(asked));
        assert_eq!(verdict.decision, want, "{asked:?} under {layer:?}");
    }
}

#[test]
fn headless_denies_whatever_would_be_asked() {
    let layers = Layers { user: rules("ask b | allow c"), ..Layers::default() };
    let policy = policy(&layers, Desk::Headless);
    for (tool, want) in [("a", DENY), ("b", DENY), ("c", ALLOW)] {
        let verdict = decide(&policy, &standing(&[]), &request(tool));
        assert_eq!((verdict.decision, verdict.proposal), (want, None), "{tool}");
    }
    let bypass = [link("", Mode::BypassPermissions)];
    assert_eq!(decide(&policy, &standing(&bypass), &request("a")).decision, ALLOW);
    let unsure = policy.with_standing(&remembered("deny", "tool(a:x)")).unwrap();
    let verdict = decide(&unsure, &standing(&bypass), &request("tool {broken"));
    assert_eq!(verdict.decision, DENY);
}

fn remembered(word: &str, text: &str) -> Rule {
    let decision = if word == "deny" { DENY } else { ALLOW };
    Rule { decision, pattern: pattern(text) }
}

#[test]
fn answers_of_the_session_count_as_one_more_list() {
    let decide_with = |layer: &str, answers: &str| {
        let answers = rules(answers);
        let standing = Standing { answers: &answers, ..standing(&[]) };
        decide(&user(layer), &standing, &request("tool")).decision
    };
    assert_eq!(decide_with("", "allow tool"), ALLOW);
    assert_eq!(decide_with("allow tool", "deny tool"), DENY);
    assert_eq!(decide_with("deny tool", "allow tool"), DENY);
    // Who wrote an ask rule wants to be asked each time, whatever broader yes was remembered.
    assert_eq!(decide_with("ask tool", "allow *"), ASK);
}

#[test]
fn what_is_remembered_covers_calls_like_it_and_no_wider() {
    let table = [
        ("shell git status", "shell(git status *)"),
        ("Bash {\"command\":\"git status\"}", "Bash(git status *)"),
        ("shell git", "shell(git)"),
        ("shell git push", "shell(git push)"),
        ("shell cat a", "shell(cat *)"),
        ("shell tool \"a  b\"", "shell(tool \"a  b\")"),
        ("shell sudo apt update", "shell(sudo apt update)"),
        ("shell bash x.sh", "shell(bash x.sh)"),
        ("shell ls; rm *", "shell(ls; rm \\*)"),
        ("read_file a/b.rs", "read_file(//ws/a/b.rs)"),
        ("read_file ../etc/x", "read_file(//etc/x)"),
        ("read_file ~/x", "read_file(~/x)"),
        ("write_file /etc/x[1]", "write_file(//etc/x\\[1])"),
        ("fetch https://a.org:80/x", "fetch(domain:a.org)"),
        ("fetch file:///etc", "fetch({\"url\":\"file:///etc\"})"),
        ("tool {\"a\":1}", "tool"),
        ("mcp__git__log {}", "mcp__git__log"),
        ("Bash {\"command\":1}", "Bash({\"command\":1})"),
    ];
    for (asked, want) in table {
        let rule = remember(&request(asked), ALLOW);
        assert_eq!(rule.pattern.0, want, "{asked}");
        check_one(want).unwrap();
        let never = user("allow *").with_standing(&remember(&request(asked), DENY)).unwrap();
        let verdict = decide(&never, &standing(&[]), &request(asked));
        assert_ne!(verdict.decision, ALLOW, "{asked}");
    }
    let always = user("").with_standing(&remember(&request("shell git log"), ALLOW)).unwrap();
    for (asked, want) in
        [("shell git log -p", ALLOW), ("shell git log --output=x", ASK), ("shell git push", ASK)]
    {
        assert_eq!(decide(&always, &standing(&[]), &request(asked)).decision, want, "{asked}");
    }
}

#[test]
fn a_tool_denied_by_name_is_hidden_and_one_denied_in_part_is_not() {
    let chain = [link("deny deep", Mode::Default), link("", Mode::BypassPermissions)];
    let answers = rules("deny never");
    let standing = Standing { answers: &answers, ..standing(&chain) };
    let policy = user("deny Bash | deny mcp__git | deny w*(x) | deny Read(.env) | deny x*");
    let table = [
        ("shell", true),
        ("Bash", true),
        ("mcp__git__log", true),
        ("xyz", true),
        ("deep", true),
        ("never", true),
        ("read_file", false),
        ("write_file", false),
        ("other", false),
    ];
    for (tool, want) in table {
        assert_eq!(hidden(&policy, &standing, &tool.into()), want, "{tool}");
    }
}

#[test]
fn without_known_folders_a_relative_rule_denies_everywhere_and_allows_nowhere() {
    let decide_in = |layer: &str, path: &str, cwd: Option<&str>| {
        let layers = Layers { user: rules(layer), ..Layers::default() };
        let policy = Policy::compile(&layers, Desk::Staffed).unwrap();
        let mut request = request(&format!("read_file {path}"));
        request.cwd = cwd.map(str::to_owned);
        decide(&policy, &standing(&[]), &request).decision
    };
    let table = [
        ("allow Read(~/a/**)", "/home/u/a/b", Some("/ws"), ASK),
        ("allow Read | deny Read(~/a/**)", "/home/u/a/b", Some("/ws"), DENY),
        ("allow Read | deny Read(~/a/**)", "~/a/b", Some("/ws"), DENY),
        ("allow Read(/a/**)", "/ws/a/b", Some("/ws"), ASK),
        ("allow Read | deny Read(/a/**)", "/ws/a/b", Some("/ws"), DENY),
        ("allow Read(./a/**)", "a/b", None, ALLOW),
        ("allow Read(./a/**)", "/ws/a/b", None, ASK),
        ("allow Read(./a/**)", "../a/b", None, ASK),
        ("allow Read | deny Read(./a/**)", "a/b", None, DENY),
        ("allow Read | deny Read(//etc/**)", "a/b", None, ASK),
        ("allow Read | deny Read(./a/**)", "../a/b", None, DENY),
        ("allow Read | deny Read(./a/**)", "../c/b", None, ASK),
    ];
    for (layer, path, cwd, want) in table {
        assert_eq!(decide_in(layer, path, cwd), want, "{path} in {cwd:?} under {layer:?}");
    }
}

#[test]
fn a_walk_passes_by_what_a_rule_with_a_path_keeps_from_reading() {
    let policy = user(
        "deny Read(secret/**) | ask Grep(//ws/asked) | deny Edit(src/**) | ask Read | deny search_files(*.pem)",
    );
    let link = link("deny Read(//ws/link) | allow Read(a)", Mode::Default);
    let (search, answers) = (ToolName::from("search_files"), rules("deny Read(answered)"));
    let sight =
        |tool: &ToolName| Sight::of(&policy, (std::slice::from_ref(&link), &answers), (tool, None));
    let see = |tool: &ToolName, path: &str| !sight(tool).hides(path);
    for (path, seen) in [
        ("/ws/a", true),
        ("/ws/src/lib.rs", true),
        ("/ws/secret", true),
        ("/ws/secret/x", false),
        ("/ws/sub/secret/x", false),
        ("/ws/asked", false),
        ("/ws/asked/below", false),
        ("/ws/link", false),
        ("/ws/sub/answered", false),
        ("/ws/key.pem", false),
    ] {
        assert_eq!(see(&search, path), seen, "{path}");
    }
    let list = ToolName::from("list_files");
    assert!(see(&list, "/ws/asked") && !see(&list, "/ws/secret/x"), "each by its own rules");
    assert!(see(&ToolName::from("deploy"), "/ws/secret/x"), "it goes through no tree");
}
