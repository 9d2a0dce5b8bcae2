//! The analyser by itself: its table, its two small languages, its limits, and that its short way and
//! its long way say the same. What rules make of it is tested with the rules, and over whole files of
//! commands at the project's root.

use proptest::prelude::*;

mod escapes;

use super::*;

fn commands(script: &Script) -> Vec<String> {
    let command = |part: &Part| match part {
        Part::Command(command) => {
            let words = command.words.iter().map(|word| word.text().unwrap_or("?"));
            Some(words.collect::<Vec<_>>().join(" "))
        }
        Part::File(_) | Part::Doubt(_) => None,
    };
    script.parts.iter().filter_map(command).collect()
}

fn doubts(script: &Script) -> Vec<&Doubt> {
    let mut doubts = Vec::new();
    for part in &script.parts {
        match part {
            Part::Doubt(doubt) => doubts.push(doubt),
            Part::File(_) | Part::Command(_) => {}
        }
    }
    doubts
}

fn files(script: &Script) -> Vec<(Access, String, Option<String>)> {
    let file = |part: &Part| match part {
        Part::File(file) => {
            let path = file.path.text().unwrap_or("?").to_owned();
            Some((file.access, path, file.cwd.clone()))
        }
        Part::Command(_) | Part::Doubt(_) => None,
    };
    script.parts.iter().filter_map(file).collect()
}

#[test]
fn every_line_of_the_table_is_a_row() {
    let lines = include_str!("programs.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let names: Vec<&str> = lines.map(|line| line.split('|').next().unwrap().trim()).collect();
    for name in &names {
        assert!(programs::row(name).is_some(), "{name} is not read");
    }
    assert_eq!(programs::names().count(), names.len(), "a name stands twice");
}

#[test]
fn the_folder_is_followed_and_where_it_may_have_failed_both_are_asked() {
    let at = |text: &str| {
        let script = Script::read(text, &Start::At(Some("/ws".into())));
        files(&script).into_iter().filter(|(_, path, _)| path == "f").map(|(.., cwd)| cwd).collect()
    };
    let check = |text: &str, want: &[Option<&str>]| {
        let found: Vec<Option<String>> = at(text);
        let want: Vec<Option<String>> = want.iter().map(|cwd| cwd.map(str::to_owned)).collect();
        assert_eq!(found, want, "{text}");
    };
    check("cat f", &[Some("/ws")]);
    check("cd a && cat f", &[Some("/ws/a")]);
    check("cd a; cat f", &[Some("/ws/a"), Some("/ws")]);
    check("cd a || cat f", &[Some("/ws")]);
    check("cd a/../b && cat f", &[Some("/ws/b")]);
    check("(cd a) && cat f", &[Some("/ws")]);
    check("cd a | cat f", &[Some("/ws")]);
    check("cd a & cat f", &[Some("/ws")]);
    check("cd .a && echo x > f", &[Some("/ws"), Some("/ws/.a")]);
    check("cd \"$x\" && cat f", &[None]);
    check("cd - && cat f", &[None]);
    check("while true; do cat f; cd a; done", &[Some("/ws"), None]);
    check("if cd a; then cat f; fi", &[Some("/ws/a"), Some("/ws")]);
}

#[test]
fn what_a_script_runs_is_found_wherever_it_stands() {
    let table = [
        "x",
        "! x",
        "(x)",
        "{ x; }",
        "a | x",
        "a && x",
        "a || x",
        "a; x",
        "a & x",
        "a\nx",
        "echo $(x)",
        "echo `x`",
        "echo \"$(x)\"",
        "echo ${y:-$(x)}",
        "cat <(x)",
        "cat > >(x)",
        "cat <<E\n$(x)\nE",
        "cat <<< $(x)",
        "if x; then a; fi",
        "if a; then x; fi",
        "if a; then b; elif x; then b; fi",
        "while x; do a; done",
        "until a; do x; done",
        "for i in $(x); do a; done",
        "for i in a; do x; done",
        "case a in b) x;; esac",
        "case $(x) in b) a;; esac",
        "f() { x; }",
        "function f { x; }",
        "[[ -n $(x) ]]",
        "[ $(x) ]",
        "((a[$(x)]))",
        "echo $((1 + $(x)))",
        "a=$(x)",
        "a=($(x))",
        "export a=$(x)",
        "a > $(x)",
        "coproc x",
        "time x",
        "eval x",
        "eval 'a; x'",
        "bash -c 'a; x'",
        "sh -c x",
        "env A=1 x",
        "nice -n 5 x",
        "timeout -k 1 5 x",
        "xargs x",
        "xargs -n 1 x",
        "find . -exec x ';'",
        "sudo x",
        "nohup x &",
        "command x",
        "exec x",
        "trap x EXIT",
        "alias y=x",
        "a; # b\nx",
        "a \\\n; x",
        "select i in a; do x; done",
        "for ((i=0; i<$(x); i++)); do a; done",
        "echo \"a $(echo \"$(x)\")\"",
        "a <<E && x\nb\nE",
        "a <<E | x\nb\nE",
    ];
    for text in table {
        let script = Script::read(text, &Start::At(Some("/ws".into())));
        let found = commands(&script);
        let has = found.iter().any(|command| command == "x" || command.starts_with("x "));
        assert!(has, "{text:?}: {found:?}, {:?}", doubts(&script));
    }
}

#[test]
fn what_is_not_in_the_closed_set_is_a_doubt() {
    let table = [
        "case a in b) c;; esac",
        "for ((;;)); do a; done",
        "select i in a; do b; done",
        "f() { a; }",
        "((x))",
        "echo $((x))",
        "echo $[x]",
        "echo ${!x}",
        "echo ${x@P}",
        "a[0]=1",
        "echo {a,b}",
        "echo $'\\c'",
        "echo $\"a\"",
        "echo a\\",
        "a <<-E\n b\n E",
        "[[ $x -eq 1 ]]",
        "echo +(a|b)",
        "echo \"a",
        "echo )",
        "if a",
        "a \u{a0}b",
        "a\u{200b} b",
        "a\rb",
        "cu\\\nrl",
        "echo `a \\`b\\``",
        "x=(a) b",
        "{fd}>a b",
        "a <<'E'; x\nb\nE",
        "a >&b",
    ];
    for text in table {
        let script = Script::read(text, &Start::At(Some("/ws".into())));
        let writes = files(&script).iter().any(|(access, ..)| *access == Access::Write);
        assert!(!doubts(&script).is_empty() || writes, "{text:?}: {:?}", script.parts);
    }
}

#[test]
fn shells_fed_by_data_and_changes_of_what_runs_are_refused() {
    let table = [
        "sh",
        "a | sh",
        "a | bash -s",
        "bash < a",
        "bash <<E\na\nE",
        "bash <(a)",
        "bash -c \"$x\"",
        "eval $x",
        "eval \"$(a)\"",
        ". <(a)",
        "source /dev/stdin",
        "a | python3",
        "a | perl -",
        "PATH=. a",
        "PATH=.",
        "LD_PRELOAD=x a",
        "env LD_PRELOAD=x a",
        "export PATH",
        "declare -n r=PATH",
        "BASH_ENV=x a",
        "GIT_SSH_COMMAND=x git fetch",
        "PAGER=x git log",
        "read PATH",
        "printf -v PATH x",
        "unset PATH",
        "for PATH in a; do b; done",
        "echo > /dev/tcp/h/1",
        "busybox sh",
        "env sh",
        "xargs sh",
    ];
    for text in table {
        let script = Script::read(text, &Start::At(Some("/ws".into())));
        assert!(doubts(&script).iter().any(|doubt| doubt.refused), "{text:?}: {:?}", script.parts);
    }
}

#[test]
fn scripts_for_sed_are_read_for_files_and_commands() {
    let harmless = [
        "1,20p",
        "s/a/b/g",
        "s|a|b|2p",
        "/a/,/b/p",
        "$d",
        "1~2p",
        "y/ab/cd/",
        "a text; w x",
        "/a/!d",
        "{p;d}",
    ];
    for script in harmless {
        assert_eq!(sed::read(script), Ok(Vec::new()), "{script}");
    }
    let write = |path: &str| Ok(vec![(Access::Write, path.to_owned())]);
    assert_eq!(sed::read("w x"), write("x"));
    assert_eq!(sed::read("s/a/b/w x; p"), write("x; p"));
    assert_eq!(sed::read("p;w../x"), write("../x"));
    assert_eq!(sed::read("r x"), Ok(vec![(Access::Read, "x".to_owned())]));
    for script in [
        "e",
        "1e ls",
        "s/a/b/e",
        "s/a/b/ge",
        "s/[/]/x/e",
        "s/[]/]/x/",
        "s/a/b",
        "k",
        "s/a/b/z",
        "/a",
        "p x",
    ] {
        assert!(sed::read(script).is_err(), "{script}");
    }
}

#[test]
fn programs_for_awk_run_nothing_and_open_nothing() {
    for program in [
        "{print $1}",
        "NR==1",
        "$3 > 100 {print $1}",
        "/a|b/ {s += $1} END {print s}",
        "a || b",
        "length > 80",
    ] {
        assert_eq!(awk::read(program), Ok(Vec::new()), "{program}");
    }
    let harmful = [
        "BEGIN{system(\"x\")}",
        "{print | \"x\"}",
        "{print > \"x\"}",
        "BEGIN{\"x\"|getline}",
        "{getline < \"x\"}",
        "@load \"x\"",
        "/[/]\" /{system(\"x\")}#\"/",
        "/[]/]/",
        "{ARGV[1]=\"x\"}",
        "{a = 1 /x/ 2}",
        "{print \"a}",
        "BEGIN{f=\"sys\" \"tem\"; @f(\"x\")}",
    ];
    for program in harmful {
        assert!(awk::read(program).is_err(), "{program}");
    }
}

#[test]
fn past_a_limit_there_is_a_doubt_and_what_came_before_it_was_found() {
    let many = format!("x;{}", "echo a;".repeat(1_000));
    let long = format!("x; echo {}", "a".repeat(1 << 20));
    let deep = format!("x; {}a{}", "$(".repeat(10_000), ")".repeat(10_000));
    let nested = format!("x; {}a", "bash -c '".repeat(100));
    let here = format!("x; {}", "cat <<E ".repeat(1_000));
    let wide = format!("x{}", (0..1_000).map(|no| format!(" a{no}")).collect::<String>());
    let wider = format!("cat{}; x", (0..1_000).map(|no| format!(" a{no}")).collect::<String>());
    for text in [many, long, deep, nested, here, wide, wider] {
        let script = Script::read(&text, &Start::At(Some("/ws".into())));
        let start: String = text.chars().take(40).collect();
        assert!(!doubts(&script).is_empty(), "{start}");
        // One more says that there were more.
        assert!(script.parts.len() <= limits::SCRIPT_PARTS + 1, "{start}");
        let named = |command: &String| command == "x" || command.starts_with("x ");
        assert!(script.murky || commands(&script).iter().any(named), "{start}");
    }
}

#[test]
fn what_a_negation_or_a_time_stands_before_is_read_without_it() {
    for (text, bare) in [
        ("! ! sh", Some("  ! sh")),
        ("a; ! for i in 1; do b; done", Some("a;   for i in 1; do b; done")),
        ("time -p { sh; }", Some("        { sh; }")),
        ("time (sh)", Some("     (sh)")),
        ("! time ! { a; }", Some("         { a; }")),
        ("a\n\\sh", Some("a\n sh")),
        ("a\n\\ sh", Some("a\n  sh")),
        ("! sh", None),
        ("time sh", None),
        ("timeout ! x", None),
        ("a \\\n sh", None),
        ("!", None),
        ("time ", None),
    ] {
        assert_eq!(tree::bared(text).as_deref(), bare, "{text:?}");
    }
}

proptest! {
    #[test]
    fn a_plain_command_reads_the_same_with_and_without_a_tree(
        words in proptest::collection::vec("[a-z./:,@%+=-]{1,6}", 1..6),
    ) {
        let text = words.join(" ");
        let short = Script::read(&text, &Start::At(Some("/ws".into())));
        let mut long = Script::default();
        statements::Walk::new(&mut long, &Start::At(Some("/ws".into()))).script(&text, 0);
        if tree::plain_words(&text).is_some() && !long.murky {
            prop_assert_eq!(short.parts, long.parts, "{}", text);
        }
    }

    #[test]
    fn any_text_is_read_without_a_crash(text in "(\\PC|[$`(){}<>|&;\"'\\\\\n\t#*?\\[\\]=-]){0,80}") {
        let script = Script::read(&text, &Start::At(Some("/ws".into())));
        prop_assert!(!script.parts.is_empty());
    }
}
