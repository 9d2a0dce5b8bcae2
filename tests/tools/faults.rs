//! What goes wrong with a process, and what is told of it.

use std::os::fd::AsRawFd as _;

use greenroom::{
    EffectClass, Tool as _, ToolOutcome,
    tools::{
        Exec, Shell,
        custody::{Bounds, Layer, Options},
    },
};
use greenroom_actors::limits;
use rustix::{
    process::Pid,
    thread::{CpuSet, sched_getaffinity},
};

use crate::hands::{Hands, alone, context, eventually, mark, marked, marks, resident_kib};

/// What is promised of a call's end after its deadline.
const LATE_MS: u64 = 3_000;

#[tokio::test]
async fn a_command_is_told_what_it_printed_and_how_it_ended() {
    let hands = Hands::new();
    assert_eq!(hands.exec(&["echo", "a b", "$HOME"]).await.fine(), "a b $HOME\n");
    assert_eq!(hands.exec(&["true"]).await.fine(), "[no output]");
    let text = hands.shell("echo out; echo err >&2; exit 3").await.bad();
    assert_eq!(text, "[exit code 3]\nout\n\n[stderr]\nerr\n");
    for tool in [Exec::new(hands.bench()).spec(), Shell::new(hands.bench()).spec()] {
        assert_eq!(tool.effect, EffectClass::Once);
    }
}

#[tokio::test]
async fn a_hang_is_ended_at_its_deadline_and_keeps_what_it_printed() {
    let hands = Hands::new();
    let told = hands.shell_for(300, "echo begun; sleep 1000").await;
    assert!(told.took_ms < 300 + LATE_MS, "{told:?}");
    assert_eq!(told.bad(), "[timed out after 300 ms and was ended]\nbegun\n");
}

#[tokio::test]
async fn who_ignores_term_or_stops_itself_is_killed() {
    let hands = Hands::new();
    let deaf = "trap '' TERM HUP INT; echo deaf; while :; do sleep 1; done";
    for (command, printed) in [(deaf, "deaf\n"), ("echo still; kill -STOP $$", "still\n")] {
        let told = hands.shell_for(200, command).await;
        assert!(told.took_ms < 200 + LATE_MS, "{told:?}");
        let text = told.bad();
        assert_eq!(text, format!("[timed out after 200 ms and was ended]\n{printed}"));
    }
}

#[tokio::test]
async fn every_way_to_end_is_reported_truly() {
    let hands = Hands::new();
    for code in [1, 2, 126, 127, 128, 255] {
        let text = hands.shell(&format!("exit {code}")).await.bad();
        assert_eq!(text, format!("[exit code {code}]"));
    }
    // Children's ends, urgent data, a window's size and "go on" are ignored by all programs, bash
    // ignores "quit", and who stops is another test.
    let harmless = [3, 17, 18, 19, 20, 21, 22, 23, 28];
    for signal in (1..=31).filter(|signal| !harmless.contains(signal)) {
        let told = hands.shell(&format!("kill -{signal} $$; exit 0")).await;
        assert!(!told.good, "{signal}: {told:?}");
        let text = told.text;
        assert!(text.starts_with(&format!("[ended by signal {signal}")), "{signal}: {text}");
    }
    // Orphans that ended before it were reaped, or its own end would not be told apart from theirs.
    let text = hands.shell("for i in 1 2 3 4; do (true & exec true); done; echo all").await.fine();
    assert_eq!(text, "all\n");
}

#[tokio::test]
async fn each_order_is_a_session_and_a_group_of_its_own() {
    for hands in both() {
        let text = hands.shell("echo $$; cut -d' ' -f5,6 /proc/$$/stat").await.fine();
        let numbers: Vec<&str> = text.split_whitespace().collect();
        let [own, group, session] = numbers[..] else { panic!("{text}") };
        assert_eq!((group, session), (own, own), "under {}", hands.custody.level());
    }
}

/// With a namespace and without: other means, the same end.
fn both() -> [Hands; 2] {
    let without = Options { without: vec![Layer::Processes], ..Options::default() };
    [Hands::new(), Hands::with(without)]
}

#[tokio::test]
async fn whatever_it_leaves_behind_ends_with_it() {
    for hands in both() {
        let mark = mark();
        let ways = [
            format!("sleep {mark} & echo gone"),
            format!("setsid sleep {mark} & echo gone"),
            format!("nohup sleep {mark} >/dev/null 2>&1 & echo gone"),
            format!("(setsid bash -c 'sleep {mark} & sleep {mark} & wait' &) ; echo gone"),
            format!("(trap '' HUP TERM; setsid setsid sleep {mark} <&- >&- 2>&- &) & echo gone"),
            format!("env -i setsid bash -c '(exec env -i sleep {mark} &)'; echo gone"),
        ];
        for way in ways {
            let told = hands.shell(&way).await;
            assert!(told.took_ms < LATE_MS, "{way}: {told:?}");
            assert_eq!(told.fine(), "gone\n", "{way}");
            assert_eq!(marked(&mark), [0_u32; 0], "{way} under {}", hands.custody.level());
        }
    }
}

#[tokio::test]
async fn a_deadline_and_a_cancel_take_the_daemons_along() {
    for hands in both() {
        let mark = mark();
        let command = format!("setsid sleep {mark} & (trap '' TERM; sleep {mark} & sleep {mark}) ");
        let told = hands.shell_for(300, &command).await;
        assert!(told.took_ms < 300 + LATE_MS, "{told:?}");
        told.bad();
        assert_eq!(marked(&mark), [0_u32; 0], "{}", hands.custody.level());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_at_any_moment_is_a_cancel_or_the_real_result_and_leaves_nobody() {
    let hands = Hands::new();
    let tool = Shell::new(hands.bench());
    for point in 0..20_u64 {
        let mark = mark();
        let (cancel, ctx) = context();
        let command = format!("setsid sleep {mark} & sleep 0.05; echo done");
        let args = greenroom::Args(serde_json::json!({ "command": command }).to_string());
        let when = std::time::Duration::from_millis(point * 4);
        let (outcome, ()) = tokio::join!(greenroom::Tool::run(&tool, ctx, args), async {
            tokio::time::sleep(when).await;
            // A call that has ended listens no more.
            cancel.send_replace(true);
        });
        match outcome {
            ToolOutcome::Done { output } => assert_eq!(output.shown(), "done\n"),
            other => assert_eq!(other, ToolOutcome::Cancelled { effect_unknown: true }),
        }
        assert_eq!(marked(&mark), [0_u32; 0], "cancelled after {when:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_ends_its_processes() {
    for hands in both() {
        let mark = mark();
        let tool = Shell::new(hands.bench());
        let args = serde_json::json!({ "command": format!("setsid sleep {mark} & sleep {mark}") });
        let (_cancel, ctx) = context();
        let call = greenroom::Tool::run(&tool, ctx, greenroom::Args(args.to_string()));
        let call = tokio::spawn(call);
        tokio::task::block_in_place(|| eventually(10_000, "both run", || marked(&mark).len() >= 2));
        call.abort();
        tokio::task::block_in_place(|| {
            eventually(2_000, "none is left", || marked(&mark).is_empty())
        });
    }
}

#[tokio::test]
async fn output_without_end_is_read_to_its_end_in_little_memory() {
    if !alone("faults::output_without_end_is_read_to_its_end_in_little_memory") {
        return;
    }
    let hands = Hands::new();
    hands.shell("head -c 1M /dev/zero; head -c 1M /dev/zero >&2").await.fine();
    let before = resident_kib();
    let command = "echo first; echo FIRST >&2
        head -c 1G /dev/zero & head -c 1G /dev/zero >&2; wait; echo last; echo LAST >&2";
    let text = hands.shell(command).await.fine();
    let grown = resident_kib().saturating_sub(before);
    assert!(grown <= 8 * 1024, "{grown} KiB more");
    // Each zero byte is shown by a character of three bytes.
    assert!(text.len() < 4 * 3 * 64 * 1024 + 1_024, "{}", text.len());
    for part in ["first\n", "last\n", "FIRST\n", "LAST\n", "bytes left out"] {
        assert!(text.contains(part), "{part}");
    }
}

#[tokio::test]
async fn a_memory_bomb_ends_itself_alone() {
    let bounds = Bounds { memory_bytes: 64 << 20, ..Bounds::default() };
    let hands = Hands::with(Options { bounds, ..Options::default() });
    let text = hands.exec(&["tail", "/dev/zero"]).await.bad();
    assert!(text.contains("memory exhausted"), "{text}");
    let own = std::process::Command::new("nice").output().unwrap().stdout;
    let own: i32 = String::from_utf8(own).unwrap().trim().parse().unwrap();
    let told = hands.shell("cat /proc/self/oom_score_adj; nice").await.fine();
    assert_eq!(told, format!("800\n{}\n", (own + 5).min(19)));
}

#[tokio::test]
async fn who_computes_for_long_leaves_a_processor_to_others_with_all_that_it_started() {
    let all = std::thread::available_parallelism().unwrap().get();
    let rest = (all - 1).max(1);
    for hands in both() {
        // Each asks by a new process of somebody who has run for longer: who is below the program,
        // in a session of its own, an orphan, and the program itself.
        let few = format!("until [ $(nproc) = {rest} ]; do :; done; nproc");
        let command = format!(
            "nproc; setsid sh -c '{few}' & ( ( {few} >orphan; mv orphan done ) & )
            {few}; wait; until [ -e done ]; do :; done; cat done"
        );
        let told = hands.shell_for(20_000, &command).await.fine();
        let told: Vec<usize> = told.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(told, [all, rest, rest, rest]);
    }
    let bounds = Bounds { spared_processors: 0, ..Bounds::default() };
    let hands = Hands::with(Options { bounds, ..Options::default() });
    let later = format!("sleep {}; nproc", 3 * limits::TOOL_NEW_MS / 1_000 + 1);
    assert_eq!(hands.shell(&later).await.fine(), format!("{all}\n"));
}

/// How many processes of this machine run, or could.
fn running() -> usize {
    let line = std::fs::read_to_string("/proc/loadavg").unwrap();
    line.split([' ', '/']).nth(3).unwrap().parse().unwrap()
}

/// One that begins while all processors are taken is made ready on the spared ones; it is not to take
/// those for all there are.
#[tokio::test(flavor = "multi_thread")]
async fn who_begins_on_a_busy_machine_is_told_of_all_processors() {
    let all = std::thread::available_parallelism().unwrap().get();
    let hands = Hands::new();
    let spin = format!("for i in {{1..{all}}}; do while :; do :; done & done; wait");
    let others = hands.shell_for(60_000, &spin);
    let watch = async {
        let rest = (all - 1).max(1);
        let few = format!("until [ $(nproc) = {rest} ]; do :; done");
        hands.shell_for(20_000, &few).await.fine();
        // Beside a crowd, as another test may have one, it would be told of fewer.
        let is_calm = || running() < 4 * all;
        let mut asked = 0;
        while asked < 20 {
            let calm_before = is_calm();
            let told = hands.exec(&["nproc"]).await;
            // One that took for long is not new any more.
            if calm_before && is_calm() && told.took_ms < limits::TOOL_NEW_MS {
                assert_eq!(told.fine(), format!("{all}\n"));
                asked += 1;
            }
        }
    };
    tokio::select! { () = watch => {}, told = others => panic!("{told:?}") }
}

/// Each of forty starts its heir and ends, so that at every moment somebody is amid a fork, whose child
/// has the processors that its parent had before.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_never_stops_forking_leaves_a_processor_whole() {
    let hands = Hands::with(Options { require: vec![Layer::Proc], ..Options::default() });
    let all = std::thread::available_parallelism().unwrap().get();
    let mark = mark();
    let heirs =
        format!(": {mark}; heir() {{ heir & }}; for i in {{1..40}}; do heir; done; sleep 60");
    let looked_at = std::sync::atomic::AtomicUsize::new(0);
    // Who has all processors still, asked at once: they live for a moment.
    let elsewhere = || {
        let set = |pid| sched_getaffinity(Pid::from_raw(pid as i32)).ok();
        let sets: Vec<CpuSet> = marks(&mark).filter_map(set).collect();
        looked_at.fetch_add(sets.len(), std::sync::atomic::Ordering::Relaxed);
        sets.iter().filter(|set| all > 1 && set.count() as usize == all).count()
    };
    let call = tokio::spawn(async move { hands.shell_for(60_000, &heirs).await });
    let stayed = tokio::task::block_in_place(|| {
        eventually(10_000, "a crowd", || marked(&mark).len() > 30);
        eventually(10_000, "all of it moved", || (0..5).all(|_| elsewhere() == 0));
        (0..100).map(|_| elsewhere()).sum::<usize>()
    });
    call.abort();
    assert_eq!(stayed, 0);
    let looked_at = looked_at.into_inner();
    assert!(looked_at > 100, "{looked_at}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_bomb_stays_small_and_goes_with_its_deadline() {
    const MOST: u64 = 64;
    let bounds = Bounds { processes: MOST, ..Bounds::default() };
    // Without a count this would be no test but an attack on the machine.
    let require = vec![Layer::Count];
    let hands = Hands::with(Options { bounds, require, ..Options::default() });
    let mark = mark();
    let bomb = format!("mark={mark}; bomb() {{ bomb | bomb & }}; bomb 2>/dev/null; sleep 1000");
    let most = std::sync::atomic::AtomicUsize::new(0);
    let call = hands.shell_for(700, &bomb);
    let watch = async {
        let begun = std::time::Instant::now();
        while begun.elapsed().as_millis() < 700 {
            most.fetch_max(marked(&mark).len(), std::sync::atomic::Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    };
    let (told, ()) = tokio::join!(call, watch);
    assert!(told.took_ms < 700 + LATE_MS, "{told:?}");
    told.bad();
    assert_eq!(marked(&mark), [0_u32; 0]);
    let most = most.into_inner() as u64;
    assert!((8..=MOST).contains(&most), "{most} at once");
}

/// What counts processes where this machine lets anybody make a group, and is not there where it does not.
#[tokio::test]
async fn a_program_is_in_the_group_of_its_order() {
    let hands = Hands::new();
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let places =
        own.lines().filter_map(|line| match line.splitn(3, ':').collect::<Vec<_>>()[1..] {
            ["", path] => Some(format!("/sys/fs/cgroup{path}")),
            ["pids", path] => Some(format!("/sys/fs/cgroup/pids{path}")),
            _ => None,
        });
    // Another test's come and go.
    let names = || -> Vec<String> {
        let entries = places.clone().filter_map(|place| std::fs::read_dir(place).ok());
        let names = entries.flatten().flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        let by_us = format!(".{}.", std::process::id());
        names.filter(|name| name.starts_with("greenroom-") && name.contains(&by_us)).collect()
    };
    let before = names();
    let told = hands.exec(&["cat", "/proc/self/cgroup"]).await.fine();
    let mut made = names();
    made.retain(|name| before.contains(name));
    assert_eq!(made.iter().any(|name| told.contains(name)), !made.is_empty(), "{made:?} in {told}");
}

#[tokio::test]
async fn a_disk_is_not_filled() {
    let bounds = Bounds { scratch_bytes: 4 << 20, scratch_files: 100, ..Bounds::default() };
    let hands = Hands::with(Options { bounds, ..Options::default() });
    let text = hands.shell("truncate -s 100G sparse").await.bad();
    assert!(text.contains("signal 25") || text.contains("File too large"), "{text}");
    let text = hands.shell("head -c 5M /dev/zero >/tmp/large").await.bad();
    assert!(text.contains("No space left"), "{text}");
    let text = hands.shell("for i in {1..200}; do : >/tmp/$i || exit 9; done").await.bad();
    assert!(text.contains("No space left") && text.contains("exit code 9"), "{text}");
    assert_eq!(hands.shell("ls /tmp | wc -l; echo kept >file; cat file").await.fine(), "0\nkept\n");
}

#[tokio::test]
async fn what_cannot_be_started_is_said_in_words() {
    use std::os::unix::fs::PermissionsExt as _;
    let hands = Hands::new();
    let file = |name: &str, text: &str, mode: u32| {
        let path = hands.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "text", 0o644);
    file("garbage", "\u{1}\u{2}\u{3}", 0o755);
    file("lost", "#!/nowhere/interpreter\n", 0o755);
    let long = "x".repeat(200 * 1024);
    let table: [(&[&str], &str); 8] = [
        (&["no-such-program-at-all"], "no such program in /usr"),
        (&["./no-such-file"], "No such file"),
        (&["./plain"], "Permission denied"),
        (&["./garbage"], "Exec format error"),
        (&["./lost"], "No such file"),
        (&["."], "no such program"),
        (&["true", &long], "Argument list too long"),
        (&["true", "a\0b"], "null byte"),
    ];
    for (argv, why) in table {
        let text = hands.exec(argv).await.bad();
        assert!(text.contains(why), "{:.60?}: {text:.300}", argv);
    }
    assert!(hands.exec(&[]).await.bad().contains("at argv"));
    let exec = Exec::new(hands.bench());
    for (cwd, why) in [("gone", "No such file"), ("..", "outside the workspace"), ("/", "outside")]
    {
        let args = serde_json::json!({ "argv": ["true"], "cwd": cwd });
        let text = hands.call(&exec, args).await.bad();
        assert!(text.contains(why), "{cwd}: {text}");
    }
    let unknown = serde_json::json!({ "argv": ["true"], "shell": true });
    assert!(hands.call(&exec, unknown).await.bad().contains("unknown field"));
}

#[tokio::test]
async fn a_name_that_is_no_text_is_a_name() {
    let hands = Hands::new();
    let text = hands.shell("f=$'n\\xff.txt'; echo in >\"$f\"; cat ./n*; ls").await.fine();
    assert_eq!(text, "in\nn\u{fffd}.txt\n");
}

#[tokio::test]
async fn nobody_answers_and_nothing_is_obeyed() {
    let hands = Hands::new();
    assert_eq!(hands.shell("read x; echo $?; cat; test -t 0; echo $?").await.fine(), "1\n1\n");
    let text = hands.shell("exec </dev/tty").await.bad();
    assert!(text.contains("/dev/tty"), "{text}");
    let text = hands.shell(r"printf '\e[2J\e]0;mine\a\x9b1m\r!'").await.fine();
    assert_eq!(text, "␛[2J␛]0;mine␇\u{fffd}1m␍!");
}

#[tokio::test]
async fn only_the_variables_that_are_meant_are_there() {
    let hands = Hands::new();
    let text = hands.exec(&["env"]).await.fine();
    let parent =
        text.lines().find_map(|line| line.strip_prefix("TRACEPARENT=")).unwrap_or_default();
    assert!(parent.len() == 55 && parent.starts_with("00-") && parent.ends_with("-01"), "{text}");
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let git = ["GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"];
    let own = ["GREENROOM_CUSTODY", "HOME", "LANG", "PAGER", "PATH", "PWD", "TERM", "TMPDIR"];
    let meant = [git.as_slice(), &own, &["TRACEPARENT"]].concat();
    assert_eq!(names, meant, "this process has {}", std::env::vars().count());
}

#[tokio::test]
async fn only_three_descriptors_are_inherited() {
    let folder = tempfile::tempdir().unwrap();
    // Ones that programs would inherit, opened before custody and after it.
    let open = || rustix::io::dup(std::fs::File::open(folder.path()).unwrap()).unwrap();
    let before = open();
    let hands = Hands::new();
    let after = open();
    assert!(before.as_raw_fd() > 2 && after.as_raw_fd() > 2);
    let text = hands.shell("echo /proc/$$/fd/*").await.fine();
    let fds: Vec<&str> =
        text.split_whitespace().filter_map(|path| path.rsplit('/').next()).collect();
    // Bash opens the folder that it lists, and its own script at 255 when it has one.
    let own: Vec<&&str> = fds.iter().filter(|fd| !["0", "1", "2"].contains(fd)).collect();
    assert!(own.len() <= 1, "{text}");
    let text = hands.shell("readlink /proc/$$/fd/*").await.text;
    assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
}
