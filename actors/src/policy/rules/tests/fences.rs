//! Fences: outside of any is outside, whatever a rule allows, and a project's only takes away.

use super::*;
use crate::domain::permission::Bounds;

fn bounds(roots: &[&str], readable: &[&str]) -> Bounds {
    let all = |folders: &[&str]| folders.iter().map(|folder| (*folder).to_owned()).collect();
    Bounds { roots: all(roots), readable: all(readable) }
}

fn at(layer: &str, bounds: Bounds, narrowed: Bounds) -> Policy {
    let layers = Layers { user: rules(layer), ..Layers::default() };
    Policy::compile(&layers, Desk::Staffed).unwrap().at(Places {
        home: Some("/home/u".to_owned()),
        project: Some("/ws".to_owned()),
        workspace: Some("/ws".to_owned()),
        bounds,
        narrowed,
        ..Places::default()
    })
}

fn link_at(text: &str, bounds: Bounds) -> Authority {
    Authority { rules: rules(text), bounds, ..Authority::default() }
}

#[track_caller]
fn decided(policy: &Policy, links: &[Authority], asked: &str) -> Decision {
    decide(policy, &standing(links), &request(asked)).decision
}

#[test]
fn outside_of_any_fence_is_outside() {
    let none = || Bounds::default();
    let rules = "allow Read | allow Edit | allow Bash(cat *)";
    let free = at(rules, none(), none());
    let fenced = at(rules, bounds(&["."], &["/usr"]), none());
    let source = [link_at(rules, bounds(&["src"], &["/opt"]))];
    let both = [link_at(rules, none()), link_at(rules, bounds(&["src"], &["/opt"]))];
    for tool in ["read_file", "shell cat"] {
        let asked = |policy: &Policy, links: &[Authority], path: &str| {
            let asked =
                if tool == "read_file" { "read_file ".to_owned() } else { format!("{tool} ") };
            decided(policy, links, &format!("{asked}{path}"))
        };
        assert_eq!(asked(&fenced, &[], "a"), ALLOW, "{tool}");
        assert_eq!(asked(&fenced, &[], "/ws/a"), ALLOW, "{tool}");
        assert_eq!(asked(&fenced, &[], "/usr/x"), ALLOW, "{tool}");
        assert_eq!(asked(&fenced, &[], "/etc/x"), DENY, "{tool}");
        assert_eq!(asked(&fenced, &[], "~/x"), DENY, "{tool}");
        assert_eq!(asked(&free, &source, "src/a"), ALLOW, "{tool}");
        assert_eq!(asked(&free, &source, "/ws/src/a"), ALLOW, "{tool}");
        assert_eq!(asked(&free, &source, "a"), DENY, "{tool}");
        assert_eq!(asked(&fenced, &source, "/opt/x"), DENY, "{tool}: the runtime's holds as well");
        assert_eq!(asked(&fenced, &source, "/usr/x"), DENY, "{tool}");
        assert_eq!(asked(&fenced, &both, "src/a"), ALLOW, "{tool}");
        assert_eq!(asked(&fenced, &both, "a"), DENY, "{tool}");
    }
    assert_eq!(decided(&fenced, &[], "write_file /usr/x"), DENY);
    // A parent without a fence holds a child with a wide one.
    let wide =
        [link_at("allow Bash(cat *)", none()), link_at("allow Bash(cat *)", bounds(&["/"], &[]))];
    let quiet = at("allow Bash(cat *)", none(), none());
    assert_eq!(decided(&quiet, &wide[1..], "shell cat /etc/x"), ALLOW);
    assert_eq!(decided(&quiet, &wide, "shell cat /etc/x"), ASK);
}

#[test]
fn a_project_takes_away_and_gives_nothing() {
    let rules = "allow Bash(cat *) | allow Read(./**)";
    let users = || bounds(&["."], &["/usr"]);
    let layers = |project: &str| Layers {
        user: super::rules(rules),
        project: super::rules(project),
        ..Layers::default()
    };
    let policy = |project: &str, bounds, narrowed| {
        let places = at("", bounds, narrowed).ground.places.clone();
        Policy::compile(&layers(project), Desk::Staffed).unwrap().at(places)
    };
    let free = || Bounds::default();
    let asked =
        ["shell cat a", "shell cat /usr/x", "shell cat /etc/x", "shell rm a", "read_file /etc/x"];
    let before: Vec<Decision> =
        asked.iter().map(|asked| decided(&policy("", free(), free()), &[], asked)).collect();
    assert_eq!(before, [ALLOW, ASK, ASK, ASK, ASK]);
    // An allow that the user's layer lacks, and folders that it does not open, gain nothing.
    for wide in [bounds(&["/"], &[]), bounds(&[], &["/"]), bounds(&["/"], &["/"])] {
        let policy = policy("allow Bash(rm *) | allow Read | allow *", free(), wide);
        let after: Vec<Decision> = asked.iter().map(|asked| decided(&policy, &[], asked)).collect();
        assert_eq!(after, before);
    }
    let narrow = policy("", users(), bounds(&["/ws/src"], &["/ws/docs", "/etc"]));
    for (asked, want) in [
        ("shell cat src/a", ALLOW),
        ("shell cat docs/a", ALLOW),
        ("shell cat a", DENY),
        ("shell cat /usr/x", DENY),
        ("shell cat /etc/x", DENY),
        ("write_file docs/a", DENY),
    ] {
        assert_eq!(decided(&narrow, &[], asked), want, "{asked}");
    }
}

#[test]
fn a_folder_of_which_nobody_knows_where_it_begins_opens_nothing() {
    let layers = Layers { user: rules("allow Read"), ..Layers::default() };
    let lost = Policy::compile(&layers, Desk::Staffed).unwrap();
    let lost = lost.at(Places { bounds: bounds(&["src", "~/x"], &[]), ..Places::default() });
    assert_eq!(decided(&lost, &[], "read_file src/a"), DENY);
    assert_eq!(decided(&lost, &[], "read_file /src/a"), DENY);
}

#[test]
fn one_file_is_one_file_by_every_name_of_it() {
    let policy =
        at("allow Read(./src/**) | deny Read(./src/keys/**)", Bounds::default(), Bounds::default());
    let child = [Authority::default(), Authority::default(), Authority::default()];
    for (path, want) in [("src/a", ALLOW), ("src/keys/a", DENY), ("b", ASK)] {
        for name in
            [path.to_owned(), format!("./{path}"), format!("/ws/{path}"), format!("//ws/./{path}")]
        {
            for depth in 0..child.len() {
                let Request { tool, args, .. } = request(&format!("read_file {name}"));
                // A model's call says nothing of a folder.
                let request = Request { tool, args, cwd: policy.folder(None) };
                let links = child.get(..depth).unwrap_or_default();
                let verdict = decide(&policy, &standing(links), &request);
                assert_eq!(verdict.decision, want, "{name} at {depth}: {:?}", verdict.reasons);
            }
        }
    }
    assert_eq!(policy.folder(Some("a")), Some("/ws/a".to_owned()));
    assert_eq!(policy.folder(Some("/a")), Some("/a".to_owned()));
}

#[test]
fn processes_are_held_to_what_every_fence_leaves() {
    let none = || Bounds::default();
    let trees = |policy: &Policy, links: &[Authority]| {
        let sight = Sight::of(policy, (links, &rules("")), (&"exec".into(), None));
        let paths = |list: &[String]| list.join(" ");
        let trees = sight.trees();
        trees.map(|trees| (trees.write.as_deref().map(paths), paths(&trees.read)))
    };
    let some = |write: &str, read: &str| Some((Some(write.to_owned()), read.to_owned()));
    let free = at("", none(), none());
    let link = |roots: &[&str], readable: &[&str]| link_at("", bounds(roots, readable));
    assert_eq!(trees(&free, &[link_at("", none())]), None);
    assert_eq!(
        trees(&free, &[link(&["src", "/o"], &["/usr"])]),
        some("/ws/src /o", "/ws/src /o /usr")
    );
    // A child's is cut with its parent's, whichever is narrower.
    for links in [
        [link(&["src/a", "/b"], &["/x"]), link(&["src"], &["/x/y"])],
        [link(&["src"], &["/x/y"]), link(&["src/a", "/b"], &["/x"])],
    ] {
        assert_eq!(trees(&free, &links), some("/ws/src/a", "/ws/src/a /x/y"));
    }
    let narrowed = at("", bounds(&["."], &["/usr"]), bounds(&["/ws/src"], &[]));
    assert_eq!(trees(&narrowed, &[link_at("", none())]), some("/ws/src", "/ws/src"));
    let nothing = [link(&["/a"], &[]), link(&["/b"], &[])];
    assert_eq!(trees(&free, &nothing), some("", ""));
    // Without roots it is the workspace that may be written.
    let reader = at("", bounds(&[], &["/usr"]), none());
    assert_eq!(trees(&reader, &[link_at("", none())]), Some((None, "/ws /usr".to_owned())));
    let tool = Sight::of(&narrowed, (&[], &rules("")), (&"read_file".into(), None));
    assert_eq!(tool.trees(), None, "it starts no process");
}

#[test]
fn processes_do_not_see_what_is_denied_and_do_not_change_what_may_not_be_written() {
    let none = || Bounds::default();
    let layer = "deny Read(.env) | ask Read(asked) | deny Edit(fixed/**) | deny Write(out) | deny Bash(cat x)";
    // With a rule about more than a path everything is asked the long way, and found the same.
    let long = format!("{layer} | deny *(path:nowhere)");
    let answers = rules("deny Read(//ws/answered)");
    for (tool, layer) in [("exec", layer), ("shell", layer), ("exec", &long)] {
        let policy = at(layer, none(), none());
        let sight = Sight::of(&policy, (&[], &answers), (&tool.into(), Some("/ws/sub")));
        for (path, hidden, kept) in [
            ("/ws/a", false, false),
            ("/ws/deep/.env", true, false),
            ("/ws/deep/.ENV", true, false),
            ("/ws/answered", true, false),
            ("/ws/asked", false, false),
            ("/ws/sub/fixed/x", false, true),
            ("/ws/out", false, true),
            ("/ws/x", false, false),
            ("/ws/odd\\name", true, true),
        ] {
            assert_eq!((sight.hides(path), sight.keeps(path)), (hidden, kept), "{tool} {path}");
        }
    }
}
