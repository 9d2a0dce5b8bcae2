//! Commands without a shell: their words mean what the same words mean in a bash string, and where they
//! run is what their arguments and their call say together.

use super::*;

fn of(args: serde_json::Value, cwd: Option<&str>) -> Request {
    Request { tool: "exec".into(), args: Args(args.to_string()), cwd: cwd.map(str::to_owned) }
}

fn exec(words: &[&str]) -> Request {
    of(serde_json::json!({ "argv": words }), Some("/ws"))
}

#[track_caller]
fn decided(layer: &str, request: &Request) -> Verdict {
    decide(&user(layer), &standing(&[]), request)
}

#[test]
fn words_are_judged_as_they_are_in_a_bash_string() {
    let layer = "allow Bash(ls *) | allow Bash(git log *) | allow Bash(rm -rf ./old) | deny Bash(curl *) | \
                 deny Read(.env) | allow Bash(cat *)";
    let table: [(&[&str], Decision); 20] = [
        (&["ls", "-la"], ALLOW),
        (&["ls", "--no-such-option"], ASK),
        (&["git", "log", "-1"], ALLOW),
        (&["git", "log", "--output=x"], ASK),
        (&["git", "push"], ASK),
        (&["rm", "-rf", "./old"], ALLOW),
        (&["rm", "-rf", "./new"], ASK),
        (&["curl", "http://x"], DENY),
        (&["/usr/bin/curl", "http://x"], DENY),
        (&["env", "A=1", "curl", "x"], DENY),
        (&["sudo", "curl", "x"], DENY),
        (&["xargs", "curl"], DENY),
        (&["nice", "-n", "5", "ls"], ALLOW),
        (&["bash", "-c", "ls; curl x"], DENY),
        (&["bash", "-c", "ls"], ALLOW),
        (&["sh"], DENY),
        (&["cat", ".env"], DENY),
        // Nothing expands them: a star is a star, and a semicolon parts nothing.
        (&["ls", "*"], ALLOW),
        (&["ls", ";", "curl"], ALLOW),
        (&["ls", "a\u{202e}b"], ASK),
    ];
    for (words, want) in table {
        let verdict = decided(layer, &exec(words));
        assert_eq!(verdict.decision, want, "{words:?}: {:?}", verdict.reasons);
        assert_eq!(verdict.proposal.is_some(), want == ASK, "{words:?}");
    }
}

#[test]
fn a_rule_for_it_alone_opens_no_shell_and_one_for_shells_means_it_too() {
    let table = [
        ("allow exec(ls *)", ALLOW),
        ("allow Exec(ls *)", ALLOW),
        ("allow exec", ALLOW),
        ("allow Bash", ALLOW),
        ("allow shell(ls)", ALLOW),
        ("allow Bash | deny exec", DENY),
        ("allow exec | deny Bash", DENY),
        ("allow exec | deny Bash(ls *)", DENY),
        ("allow exec(l*)", ALLOW),
        ("allow exec(git *)", ASK),
    ];
    for (layer, want) in table {
        let verdict = decided(layer, &exec(&["ls"]));
        assert_eq!(verdict.decision, want, "{layer}: {:?}", verdict.reasons);
    }
    check("allow exec(ls *)", "shell ls", ASK);
    check("deny exec(ls *) | allow Bash(ls *)", "shell ls", ALLOW);
}

#[test]
fn where_it_runs_is_what_its_arguments_say_from_its_calls_folder_on() {
    let layer = "allow Bash(cat *) | deny Read(./secret/**) | allow Bash(ls *)";
    let cat = |cwd: serde_json::Value| serde_json::json!({ "argv": ["cat", "x"], "cwd": cwd });
    let table = [
        (cat(serde_json::Value::Null), Some("/ws"), ALLOW),
        (cat("sub".into()), Some("/ws"), ALLOW),
        (cat("secret".into()), Some("/ws"), DENY),
        (cat("./secret/".into()), Some("/ws"), DENY),
        (cat("/ws/secret".into()), Some("/ws"), DENY),
        (cat("/ws/secret".into()), None, DENY),
        (cat("/etc".into()), Some("/ws"), ASK),
        (cat("sub/../secret".into()), Some("/ws"), ASK),
        (cat("sub".into()), None, ASK),
        (cat(1.into()), Some("/ws"), ASK),
    ];
    for (args, cwd, want) in table {
        let shell = serde_json::json!({ "command": "cat x", "cwd": args["cwd"] });
        let shell = Request { tool: "shell".into(), ..of(shell, cwd) };
        for request in [of(args.clone(), cwd), shell] {
            let verdict = decided(layer, &request);
            assert_eq!(verdict.decision, want, "{request:?}: {:?}", verdict.reasons);
        }
    }
}

#[test]
fn an_answer_for_longer_covers_the_words_that_it_was_given_for() {
    let remembered = |words: &[&str]| remember(&exec(words), Decision::Allow).pattern.0;
    assert_eq!(remembered(&["git", "log", "-1"]), "exec(git log *)");
    assert_eq!(remembered(&["rm", "-rf", "a b"]), "exec(rm -rf 'a b')");
    assert_eq!(remembered(&["rm", "*"]), "exec(rm '\\*')");
    let rule = format!("allow {}", remembered(&["rm", "*"]));
    assert_eq!(decided(&rule, &exec(&["rm", "*"])).decision, ALLOW);
    assert_eq!(decided(&rule, &exec(&["rm", "x"])).decision, ASK);
    check(&rule, "shell rm *", ASK);
}

#[test]
fn what_is_no_list_of_words_is_not_allowed() {
    for argv in [
        serde_json::json!({}),
        serde_json::json!({ "argv": [] }),
        serde_json::json!({ "argv": "ls" }),
        serde_json::json!({ "argv": ["ls", 1] }),
        serde_json::json!({ "command": "ls" }),
    ] {
        let verdict =
            decided("allow Bash(ls *) | allow exec(ls *)", &of(argv.clone(), Some("/ws")));
        assert_eq!(verdict.decision, ASK, "{argv}: {:?}", verdict.reasons);
        let verdict = decided("deny Bash(curl *) | allow exec(*)", &of(argv.clone(), Some("/ws")));
        assert_ne!(verdict.decision, ALLOW, "{argv}: {:?}", verdict.reasons);
    }
}
