//! Whatever is asked, what it takes to decide is bounded: counted here, timed in the bench.

use super::*;

/// What texts are made of; each is repeated until it is 128 KiB.
const NASTY: &[&str] = &[
    "a ",
    "a;",
    "a/",
    "../",
    "*",
    "$(",
    "`",
    "'",
    "\"",
    "\\",
    "((",
    "{a,b}",
    "<<A\n",
    "<(",
    "sudo ",
    "xargs ",
    "env A=1 ",
    "find . -exec ",
    "bash -c '",
    "eval \"",
    "if a; then ",
    "cd a || ",
    "x=a:b@c=d ",
    "\u{202e}",
    "cat .env ",
    "nice nice timeout 5 ",
    "echo $a; ",
];

fn requests(piece: &str) -> Vec<Request> {
    let text = piece.repeat(128 * 1024 / piece.len());
    let words: Vec<&str> = text.split(' ').collect();
    let all = [
        ("shell", serde_json::json!({ "command": text })),
        ("exec", serde_json::json!({ "argv": words })),
        ("read_file", serde_json::json!({ "path": text })),
        ("fetch", serde_json::json!({ "url": text })),
    ];
    let request = |(tool, args): (&str, serde_json::Value)| Request {
        tool: tool.into(),
        args: Args(args.to_string()),
        cwd: Some("/ws".to_owned()),
    };
    all.into_iter().map(request).collect()
}

#[test]
fn no_text_is_made_into_more_questions_than_the_limit_and_none_is_let_through() {
    let policy =
        user("allow Bash(a *) | allow Bash(cd *) | allow Read(./src/**) | deny Bash(curl *)");
    for piece in NASTY {
        for request in requests(piece) {
            let facts = Facts::of(&request, &policy.ground);
            let questions = facts.subjects().len();
            assert!(
                questions <= limits::SCRIPT_PARTS + 1,
                "{questions} for {} {piece:?}",
                request.tool
            );
            // A text is read under eight readings, and each part of it from 64 of its words on.
            let guess = facts.subjects().iter().find_map(Subject::guess);
            let weight = guess.map_or(0, guess::Command::weight);
            let most = 8 * 2 * limits::COMMAND_WORDS * limits::COMMAND_BYTES;
            assert!(weight <= most, "{weight} for {} {piece:?}", request.tool);
            assert!(facts.into_runs().len() <= limits::SCRIPT_FILES);
            let verdict = decide(&policy, &standing(&[]), &request);
            let asked = request.tool.as_str();
            assert_ne!(verdict.decision, ALLOW, "{asked} {piece:?}");
            assert!(verdict.reasons.len() <= limits::REASONS, "{asked} {piece:?}");
        }
    }
}

#[test]
fn what_stands_behind_more_than_is_judged_is_not_let_through() {
    let policy = user("allow Bash(cat *) | deny Read(.env) | deny Bash(curl *)");
    let many: Vec<String> = (0..300).map(|no| format!("f{no}")).collect();
    for tail in ["", ".env", "x; curl a"] {
        let line = format!("cat {} {tail}", many.join(" "));
        let words: Vec<&str> = line.split(' ').collect();
        let args = [serde_json::json!({ "command": line }), serde_json::json!({ "argv": words })];
        for (tool, args) in ["shell", "exec"].into_iter().zip(args) {
            let cwd = Some("/ws".to_owned());
            let request = Request { tool: tool.into(), args: Args(args.to_string()), cwd };
            let verdict = decide(&policy, &standing(&[]), &request);
            assert_ne!(verdict.decision, ALLOW, "{tool} {tail}: {:?}", verdict.reasons);
        }
    }
    let few = format!("shell cat {}", many.get(..200).unwrap_or_default().join(" "));
    check("allow Bash(cat *)", &few, ALLOW);
}
