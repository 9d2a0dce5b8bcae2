//! The examples, as a person runs them: each by what it prints. `cargo test` builds them; where only
//! this test is run, `cargo build --examples` comes first.

use std::{path::PathBuf, process::Command};

/// Where cargo has put an example: beside the folder of the tests.
fn built(name: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a test has a path");
    let profile = me.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/…");
    profile.join("examples").join(name)
}

/// What an example prints, if it ends well.
fn printed(name: &str) -> String {
    let path = built(name);
    let ran = Command::new(&path).env_remove("RUST_BACKTRACE").output();
    let ran = ran.unwrap_or_else(|why| {
        panic!("run {}: {why}; build it: cargo build --examples", path.display())
    });
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{name}: {}\n{out}\n{err}", ran.status);
    out.into_owned()
}

/// The places of these texts in what was printed, in this order.
#[track_caller]
fn in_order(out: &str, texts: &[&str]) {
    let mut from = 0;
    for text in texts {
        let rest = out.get(from..).unwrap_or_default();
        let at = rest.find(text);
        let at = at.unwrap_or_else(|| panic!("{text:?} does not follow; it printed:\n{out}"));
        from += at + text.len();
    }
}

#[test]
fn one_agent_speaks_and_leaves_a_log() {
    in_order(
        &printed("one_agent"),
        &[
            "(They want to know who I am.) I am the prompter. I sit on the left",
            "[completed]",
            "You said: To be, or not to be. That is in the second act.",
            "2 calls, ",
            "the log has 5 frames",
            "input_accepted, turn_started, model_call_started",
            "turn_finished",
        ],
    );
}

#[test]
fn parallel_subagents_work_at_once_and_the_one_that_panicked_comes_back() {
    let out = printed("parallel_subagents");
    // All three have begun before the first has ended.
    let begun = ["lights begins", "sound begins", "props begins"];
    let ended = ["lights: Forty-two", "sound: The thunder", "props: The letter"];
    let place = |text: &str| out.find(text).unwrap_or_else(|| panic!("no {text:?} in:\n{out}"));
    let last_begun = begun.map(place).into_iter().max();
    let first_ended = ended.map(place).into_iter().min();
    assert!(last_begun < first_ended, "{out}");
    in_order(&out, &["sound is back", "director: Curtain up.", "the director's turn: completed"]);
    for row in ["director: 3 calls, 0 restarts", "sound: 1 calls, 1 restarts", "lights: 1 calls, 0"]
    {
        assert!(out.contains(row), "no {row:?} in:\n{out}");
    }
}

#[test]
fn an_own_tool_is_called_wrongly_told_why_and_called_well() {
    let out = printed("own_tool");
    in_order(
        &out,
        &[
            r#""maximum":8"#,
            "find_seats: 3 mistakes in the arguments",
            r#"- at cheap: unknown; expected one of "count", "evening""#,
            "- at count: expected at most 8, found 12",
            r#"- at evening: expected one of "friday", "saturday", found the text "sunday""#,
            "the tool runs\nrow G, seats 1 to 3",
            "I found you row G, seats 1 to 3.",
            "by hand: failed: the house is sold out on Friday",
        ],
    );
    assert_eq!(out.matches("the tool runs").count(), 1, "{out}");
}

#[test]
fn approvals_come_up_from_subagents_and_are_answered() {
    let out = printed("approvals");
    for question in [
        r#"wardrobe asks: pay {"dollars":40,"to":"tailor"}"#,
        r#"wardrobe asks: pay {"dollars":900,"to":"milliner"}"#,
        r#"bar asks: pay {"dollars":5000,"to":"ice works"}"#,
        "Comment of ann: Ask the landlord for ice first.",
    ] {
        assert!(out.contains(question), "no {question:?} in:\n{out}");
    }
    in_order(
        &out,
        &[
            "Everybody has answered.",
            "paid $40 to the tailor\npaid $90 to the milliner",
            "without a question: Permission denied",
        ],
    );
}

#[test]
fn a_budget_holds_whoever_comes_first() {
    let out = printed("budget");
    assert_eq!(out.matches("  completed  I have read").count(), 4, "{out}");
    assert_eq!(out.matches("budget_exhausted  budget of ").count(), 2, "{out}");
    in_order(&out, &["completed  That is what five cents buy.", "spent $0.04", "of $0.050000"]);
}

#[test]
fn a_killed_process_is_gone_on_with_by_the_next() {
    let out = printed("crash_and_recovery");
    in_order(
        &out,
        &[
            "first process: signal: 9 (SIGKILL)",
            "second process: print_tickets runs",
            "print_tickets is done, under key …/t1",
            "outcome_unknown",
            "restarts: 1",
            "second process: exit status: 0",
        ],
    );
    let started = |line: &str| out.lines().filter(|one| *one == line).count();
    assert_eq!(started("first process: print_tickets runs"), 1, "{out}");
    assert_eq!(started("first process: charge_card runs"), 1, "{out}");
    assert!(!out.contains("second process: charge_card runs"), "a once tool ran twice:\n{out}");
}

#[test]
fn tenants_share_a_runtime_and_nothing_else() {
    in_order(
        &printed("many_tenants"),
        &[
            "theatre-1 has 2 notes\ntheatre-2 has 2 notes",
            "theatre-1 has 1 session and a bill for 4 calls",
            "theatre-2 asks for that session: no session",
            "all together: 20 sessions",
        ],
    );
}
