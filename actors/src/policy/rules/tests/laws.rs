//! Laws that hold for every policy and request, over generated ones.

use proptest::prelude::*;

use super::*;

const PATTERNS: &[&str] = &[
    "*",
    "tool",
    "t*",
    "mcp__git",
    "mcp__git__*",
    "shell",
    "Bash(git *)",
    "Bash(rm:*)",
    "Bash(git push)",
    "Bash(* --force *)",
    "Bash(*)",
    "Read",
    "Read(./src/**)",
    "Read(.env)",
    "Read(//etc/**)",
    "Edit(~/x)",
    "Edit",
    "WebFetch(domain:a.org)",
    "tool(a:x*)",
    "tool(x)",
    "tool(",
    "Bash(",
    "",
];

fn patterns() -> impl Strategy<Value = String> {
    proptest::sample::select(PATTERNS).prop_map(str::to_owned)
}

/// Patterns that have a meaning, as a runtime's layers demand.
fn sound() -> impl Strategy<Value = String> {
    let all = PATTERNS.iter().copied().filter(|text| check_one(text).is_ok());
    proptest::sample::select(all.collect::<Vec<_>>()).prop_map(str::to_owned)
}

fn sets(one: impl Strategy<Value = String>) -> impl Strategy<Value = RuleSet> {
    let list = proptest::collection::vec(one.prop_map(RulePattern), 0..9);
    list.prop_map(|all| {
        let mut set = RuleSet::default();
        for (at, pattern) in all.into_iter().enumerate() {
            let decision =
                [Decision::Allow, Decision::Deny, Decision::Allow, Decision::Ask][at % 4];
            set.push(Rule { decision, pattern });
        }
        set
    })
}

fn modes() -> impl Strategy<Value = Mode> {
    proptest::sample::select(vec![
        Mode::Plan,
        Mode::DontAsk,
        Mode::Default,
        Mode::AcceptEdits,
        Mode::BypassPermissions,
    ])
}

fn links() -> impl Strategy<Value = Authority> {
    (sets(patterns()), modes()).prop_map(|(rules, mode)| Authority {
        rules,
        mode,
        ..Authority::default()
    })
}

fn layers() -> impl Strategy<Value = Layers> {
    (sets(sound()), sets(sound()), sets(sound()), sets(sound()))
        .prop_map(|(builtin, user, project, standing)| Layers { builtin, user, project, standing })
}

fn commands() -> impl Strategy<Value = String> {
    let word = proptest::sample::select(vec![
        "git", "push", "rm", "-rf", "echo", "a", "--force", "$x", "'q'", "\"", "`", "env", "sh",
        "A=1", "/bin/rm", "*", "\\", ">x", "2>&1", "<",
    ]);
    proptest::collection::vec(word, 1..6).prop_map(|words| words.join(" "))
}

fn requests() -> impl Strategy<Value = Request> {
    let fixed = proptest::sample::select(vec![
        "tool {\"a\":\"x\"}",
        "tool {\"a\":[]}",
        "tool {broken",
        "tool {}",
        "read_file src/a",
        "read_file .env",
        "read_file ../etc/x",
        "edit_file a",
        "write_file ~/x",
        "mcp__git__log {}",
        "fetch https://a.org/",
        "fetch http://2130706433",
        "other {}",
    ])
    .prop_map(request);
    prop_oneof![fixed, commands().prop_map(|command| request(&format!("shell {command}")))]
}

#[derive(Clone, Debug)]
struct World {
    layers: Layers,
    chain: Vec<Authority>,
    answers: RuleSet,
    waived: bool,
    mode: Option<Mode>,
    effect: EffectClass,
    headless: bool,
}

fn worlds() -> impl Strategy<Value = World> {
    (
        layers(),
        proptest::collection::vec(links(), 0..4),
        sets(patterns()),
        any::<bool>(),
        proptest::option::of(modes()),
        proptest::sample::select(vec![EffectClass::Pure, EffectClass::Once]),
        any::<bool>(),
    )
        .prop_map(|(layers, chain, answers, waived, mode, effect, headless)| World {
            layers,
            chain,
            answers,
            waived,
            mode,
            effect,
            headless,
        })
}

impl World {
    fn decide(&self, request: &Request) -> Decision {
        let desk = if self.headless { Desk::Headless } else { Desk::Staffed };
        let standing = Standing {
            authority: &self.chain,
            answers: &self.answers,
            asks_waived: self.waived,
            mode: self.mode,
            effect: self.effect,
            raised: None,
        };
        decide(&policy(&self.layers, desk), &standing, request).decision
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512.max(ProptestConfig::default().cases), ..ProptestConfig::default() })]

    #[test]
    fn adding_a_deny_anywhere_never_weakens(
        world in worlds(), request in requests(), text in sound(), at in 0_usize..6,
    ) {
        let before = world.decide(&request);
        let mut after = world.clone();
        let target = match at {
            0 => &mut after.layers.builtin,
            1 => &mut after.layers.user,
            2 => &mut after.layers.project,
            3 => &mut after.layers.standing,
            4 => &mut after.answers,
            _ => match after.chain.last_mut() {
                Some(link) => &mut link.rules,
                None => &mut after.answers,
            },
        };
        target.push(Rule { decision: Decision::Deny, pattern: RulePattern(text) });
        prop_assert!(after.decide(&request) >= before);
    }

    #[test]
    fn adding_an_ask_anywhere_never_weakens(
        world in worlds(), request in requests(), text in sound(),
    ) {
        let before = world.decide(&request);
        let mut after = world;
        after.layers.project.push(Rule { decision: Decision::Ask, pattern: RulePattern(text) });
        prop_assert!(after.decide(&request) >= before);
    }

    #[test]
    fn a_child_is_never_weaker_than_a_parent_that_says_what_it_is_for(
        world in worlds(), child in links(), request in requests(),
    ) {
        let parent = world.chain.last();
        prop_assume!(parent.is_some_and(|link| !link.rules.allow.is_empty()));
        let before = world.decide(&request);
        let mut after = world.clone();
        after.chain.push(child);
        prop_assert!(after.decide(&request) >= before);
    }

    #[test]
    fn a_child_never_escapes_a_parents_deny(
        world in worlds(), child in links(), request in requests(),
    ) {
        prop_assume!(world.decide(&request) == Decision::Deny);
        prop_assume!(world.decided_by_rules(&request));
        // Where there is no parent, what is refused only because nobody allows the whole tool is for the
        // first agent's own rules: no rule of the house denies it.
        let mut allowed = world.clone();
        allowed.layers.user.allow.push(RulePattern("*".to_owned()));
        prop_assume!(!world.chain.is_empty() || allowed.decide(&request) == Decision::Deny);
        let mut after = world.clone();
        after.chain.push(child);
        prop_assert_eq!(after.decide(&request), Decision::Deny);
    }

    #[test]
    fn neither_waiver_nor_mode_turns_a_deny_of_the_rules(
        world in worlds(), request in requests(), mode in modes(),
    ) {
        prop_assume!(world.decided_by_rules(&request));
        let mut after = world.clone();
        after.waived = true;
        after.mode = Some(mode);
        after.effect = EffectClass::Pure;
        for link in &mut after.chain {
            link.mode = Mode::BypassPermissions;
        }
        prop_assert_eq!(after.decide(&request), Decision::Deny);
    }

    #[test]
    fn an_override_of_the_mode_never_weakens(
        world in worlds(), request in requests(), mode in modes(),
    ) {
        let mut plain = world;
        plain.mode = None;
        let mut with = plain.clone();
        with.mode = Some(mode);
        prop_assert!(with.decide(&request) >= plain.decide(&request));
    }

    #[test]
    fn headless_never_asks_and_is_never_weaker(world in worlds(), request in requests()) {
        let mut staffed = world.clone();
        staffed.headless = false;
        let mut headless = world;
        headless.headless = true;
        let found = headless.decide(&request);
        prop_assert_ne!(found, Decision::Ask);
        prop_assert!(found >= staffed.decide(&request));
    }

    #[test]
    fn what_is_denied_alone_is_denied_in_a_chain(
        world in worlds(), one in commands(), other in commands(),
        joint in proptest::sample::select(vec![";", " && ", " | ", "\n", " & ", "||"]),
    ) {
        let shell = |text: &str| request(&format!("shell {text}"));
        let both = [format!("{one}{joint}{other}"), format!("{other}{joint}{one}")];
        // A single backslash at the end joins lines, and takes the operator's meaning with it.
        prop_assume!(!one.ends_with('\\') && !other.ends_with('\\'));
        // An open quote or redirection makes one text of both, with another meaning.
        let is_open = |text: &str| text.contains(['"', '`', '<', '>']);
        let closed = !is_open(&one) && !is_open(&other);
        if closed && world.decide(&shell(&one)) == Decision::Deny {
            for chain in &both {
                prop_assert_eq!(world.decide(&shell(chain)), Decision::Deny, "{}", chain);
            }
        }
    }

    #[test]
    fn wrapping_a_denied_command_leaves_it_denied(
        deny in proptest::sample::select(vec!["Bash(git *)", "Bash(rm:*)", "Bash(git push)"]),
        command in proptest::sample::select(vec!["git push", "rm a", "/bin/rm a", "git  log"]),
        wrap in proptest::sample::select(vec![
            "(@)", "{ @; }", "echo $(@)", "echo `@`", "sudo @", "env A=1 @", "! @", "bash -c '@'",
            "bash -c \"@\"", "sh -c \"true; @\"", "if true; then @; fi", "while @; do :; done",
            "f() { @; }; f", "cat <<E\n$(@)\nE", "nohup @ &", "exec @", "eval @", "eval '@'",
            "A=1 @", "true && @", "xargs @ < x", "time -p @", "cat <(@)", "timeout 5 @",
            "\\@", "''@", "\"\"@", "echo \"${x:-$(@)}\"",
        ]),
    ) {
        let policy = user(&format!("allow * | deny {deny}"));
        let judge = |text: &str| {
            decide(&policy, &standing(&[]), &request(&format!("shell {text}"))).decision
        };
        if judge(command) == Decision::Deny {
            let wrapped = wrap.replace('@', command);
            prop_assert_eq!(judge(&wrapped), Decision::Deny, "{}", wrapped);
        }
    }

    #[test]
    fn quoting_any_letter_of_a_denied_command_leaves_it_denied(
        quotes in proptest::collection::vec(0_usize..5, 8),
    ) {
        let policy = user("allow * | deny Bash(git push *)");
        let mut text = String::new();
        for (at, c) in "git push x".chars().enumerate() {
            let style = quotes.get(at).copied().unwrap_or(0);
            match (c, style) {
                (' ', _) => text.push(' '),
                (c, 1) => text.push_str(&format!("'{c}'")),
                (c, 2) => text.push_str(&format!("\"{c}\"")),
                (c, 3) => text.push_str(&format!("\\{c}")),
                (c, 4) => text.push_str(&format!("\\\n{c}")),
                (c, _) => text.push(c),
            }
        }
        let verdict = decide(&policy, &standing(&[]), &request(&format!("shell {text}")));
        prop_assert_eq!(verdict.decision, Decision::Deny, "{}", text);
    }

    #[test]
    fn any_text_is_read_without_panic_and_an_error_names_a_place_in_it(text in ".{0,60}") {
        if let Err(error) = check_one(&text) {
            prop_assert!(error.at <= text.chars().count());
        }
        let verdict = decide(&user("deny Bash(x *)"), &standing(&[]), &request(&format!("shell {text}")));
        prop_assert_ne!(verdict.decision, Decision::Allow);
    }

    #[test]
    fn a_remembered_rule_can_be_read_and_means_its_request(request in requests()) {
        let rule = remember(&request, Decision::Deny);
        let policy = user("allow *").with_standing(&rule).unwrap();
        prop_assert_ne!(decide(&policy, &standing(&[]), &request).decision, Decision::Allow);
    }
}

impl World {
    /// Whether a rule denies, and not only a mode or an empty desk.
    fn decided_by_rules(&self, request: &Request) -> bool {
        let mut lax = self.clone();
        lax.headless = false;
        lax.mode = None;
        lax.effect = EffectClass::Pure;
        for link in &mut lax.chain {
            link.mode = Mode::Default;
        }
        lax.decide(request) == Decision::Deny
    }
}
