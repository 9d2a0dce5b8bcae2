//! Each layer of the sandbox against an attack that it alone stops: with every layer in force the
//! attack fails, with only that one left out it succeeds.

use greenroom::tools::custody::{Bounds, Custody, Layer, NoCustody, Options};

use crate::hands::{Hands, eventually, mark, marked};

/// An attack prints this when it has come through.
const THROUGH: &str = "came through";

/// Bounds that an attack can pass without harm.
fn options(without: &[Layer]) -> Options {
    let bounds = Bounds { file_bytes: 1 << 20, processes: 40, ..Bounds::default() };
    Options { bounds, without: without.to_vec(), ..Options::default() }
}

async fn comes_through(without: &[Layer], attack: &str) -> (bool, String) {
    let hands = Hands::with(options(without));
    let told = hands.shell(attack).await;
    (told.text.contains(THROUGH), format!("{told:?} under {}", hands.custody.level()))
}

/// The attack must fail, and must succeed without the layer.
async fn stops(layer: Layer, attack: &str) {
    stops_alone(layer, &[], attack).await;
}

/// The same where another layer would stop it as well, which is left out both times.
async fn stops_alone(layer: Layer, others: &[Layer], attack: &str) {
    let with = Hands::with(options(others));
    let level = with.custody.level();
    assert!(level.has(layer), "this machine has no {layer}: {level}");
    let attack = format!("{{ {attack} ; }} && echo {THROUGH}");
    let (through, told) = comes_through(others, &attack).await;
    assert!(!through, "{layer} stops nothing: {attack}: {told}");
    let (through, told) = comes_through(&[&[layer], others].concat(), &attack).await;
    assert!(through, "something else stops it without {layer}: {attack}: {told}");
}

#[tokio::test]
async fn without_processes_of_its_own_it_sees_who_else_is_there() {
    let own = std::process::id();
    stops(Layer::Processes, &format!("grep -q tools /proc/{own}/comm")).await;
    stops(Layer::Proc, &format!("grep -q tools /proc/{own}/comm")).await;
}

#[tokio::test]
async fn without_mounts_of_its_own_it_sees_what_lies_in_tmp() {
    let other = tempfile::tempdir().unwrap();
    stops(Layer::Mounts, &format!("test -d {}", other.path().display())).await;
}

#[tokio::test]
async fn without_a_network_of_its_own_it_sees_who_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    stops(Layer::Network, &format!("grep -q ':{port:04X} ' /proc/net/tcp")).await;
}

#[tokio::test]
async fn without_shared_memory_of_its_own_it_sees_that_of_others() {
    let run = |args: &[&str]| {
        let output = std::process::Command::new("ipcmk").args(args).output().expect("ipcmk");
        String::from_utf8(output.stdout).unwrap()
    };
    let said = run(&["-M", "4096"]);
    let id = said.rsplit(' ').next().unwrap().trim().to_owned();
    let attack =
        format!("awk '$2 == {id} {{ found = 1 }} END {{ exit !found }}' /proc/sysvipc/shm");
    stops(Layer::Ipc, &attack).await;
    let removed = std::process::Command::new("ipcrm").args(["-m", &id]).status().unwrap();
    assert!(removed.success());
}

#[tokio::test]
async fn without_its_privileges_given_up_it_has_them() {
    if rustix::process::geteuid().is_root() {
        // What nobody may read, not even its owner, needs a capability.
        stops(Layer::Privileges, "rm -f x; echo secret >x && chmod 0 x && cat x").await;
    } else {
        stops(Layer::Privileges, "grep -q 'NoNewPrivs:.0' /proc/self/status").await;
    }
}

#[tokio::test]
async fn without_limits_a_file_grows() {
    stops(Layer::Limits, "head -c 3M /dev/zero >large").await;
}

#[tokio::test]
async fn without_a_count_it_becomes_many() {
    stops(Layer::Count, "for i in {1..60}; do sleep 5 & [ $(jobs -r | wc -l) -ge 50 ] && break; done; [ $(jobs -r | wc -l) -ge 50 ]").await;
}

#[tokio::test]
async fn without_rules_of_files_it_reads_what_is_not_its_own() {
    // Not below `/tmp`, which is covered anyway.
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "canary").unwrap();
    let secret = secret.display();
    stops(Layer::Files, &format!("grep -q canary {secret}")).await;
    for attack in [format!("echo changed >>{secret}"), format!("rm {secret}")] {
        stops_alone(Layer::Files, &[Layer::Frozen], &attack).await;
    }
}

#[tokio::test]
async fn without_rules_of_files_it_reads_what_of_the_system_is_not_for_programs() {
    if rustix::process::geteuid().is_root() {
        // Nobody but its owner may read it, and that is who runs here.
        stops(Layer::Files, "grep -q root /etc/shadow").await;
    }
    stops(Layer::Files, "cat /etc/fstab").await;
    if std::path::Path::new("/opt").is_dir() {
        stops(Layer::Files, "ls /opt").await;
    }
    let hands = Hands::new();
    let needed = "getent passwd 0 && test -r /etc/ld.so.cache && \
        python3 -c 'import ssl; ssl.create_default_context()' && perl -e 'use POSIX' && date && git --version";
    hands.shell(needed).await.fine();
}

#[tokio::test]
async fn without_all_else_frozen_it_changes_modes_and_times_of_what_is_not_its_own() {
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "as it was").unwrap();
    let shown = file.display();
    for attack in [
        format!("touch -d 2001-01-01 {shown}"),
        format!("chmod 777 {shown}"),
        format!("chmod 777 {}", folder.path().display()),
        format!("python3 -c 'import os; os.setxattr(\"{shown}\", \"user.x\", b\"x\")'"),
    ] {
        stops(Layer::Frozen, &attack).await;
    }
}

#[tokio::test]
async fn what_it_may_only_read_below_a_covered_tmp_it_does_not_change() {
    for without in [vec![], vec![Layer::Frozen], vec![Layer::Files]] {
        let hands = Hands::with(options(&without));
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("data"), "data").unwrap();
        let tool = greenroom::tools::Shell::new(hands.bench().reading(other.path()));
        let data = other.path().join("data");
        let data = data.display();
        let command = format!("cat {data} && ! echo x 2>/dev/null >{data} && ! chmod 777 {data}");
        let told = hands.call(&tool, serde_json::json!({ "command": command })).await;
        assert!(told.good && told.text.starts_with("data"), "{told:?} without {without:?}");
    }
}

#[tokio::test]
async fn without_a_filter_it_makes_a_world_of_its_own() {
    stops(Layer::Calls, "unshare --user true").await;
    // Refused before anybody asks whom it would reach: there is not even a socket.
    let socket = "(exec 3<>/dev/udp/127.0.0.1/9) 2>&1 | grep -qv 'not permitted'";
    stops(Layer::Calls, socket).await;
}

#[tokio::test]
async fn the_init_above_it_is_a_copy_of_the_runtime_and_cannot_be_read() {
    // By its own doing, with no rules of files and no filter to help.
    for without in [vec![], vec![Layer::Files, Layer::Calls]] {
        let hands = Hands::with(options(&without));
        for part in ["environ", "maps", "mem", "fd/3", "root/etc/passwd"] {
            let told = hands.shell(&format!("head -c 100 /proc/1/{part}")).await;
            let level = hands.custody.level();
            assert!(told.text.contains("ermission denied"), "{part}: {told:?} under {level}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_kills_the_init_above_it_gains_nothing() {
    // Only without a namespace, rules and a filter can it even try.
    let hands = Hands::with(options(&[Layer::Processes, Layer::Files]));
    let mark = mark();
    let told = hands.shell(&format!("setsid sleep {mark} & kill -9 $PPID; sleep {mark}")).await;
    assert!(told.bad().contains("its host died"));
    let gone = || eventually(2_000, "nobody is left", || marked(&mark).is_empty());
    tokio::task::block_in_place(gone);
    assert_eq!(hands.exec(&["echo", "on"]).await.fine(), "on\n");
}

#[tokio::test]
async fn a_required_layer_that_cannot_be_had_is_a_refusal() {
    for layer in Layer::ALL {
        let options = Options { require: vec![layer], without: vec![layer], ..Options::default() };
        let refused = Custody::start(options).unwrap_err();
        let NoCustody::Lacking { missing } = &refused else { panic!("{refused:?}") };
        assert!(missing.iter().any(|why| why.contains(layer.word())), "{layer}: {missing:?}");
    }
}

#[tokio::test]
async fn a_missing_layer_is_said_with_what_it_lets_and_some_are_vital() {
    for layer in Layer::ALL {
        let hands = Hands::with(options(&[layer]));
        let missing: Vec<Layer> = hands.custody.level().missing().map(|(layer, _)| layer).collect();
        assert!(missing.contains(&layer) && !layer.lets().is_empty(), "{layer}: {missing:?}");
        let vital = [Layer::Privileges, Layer::Files, Layer::Calls].contains(&layer);
        assert_eq!(missing.iter().any(|layer| layer.is_vital()), vital, "{layer}: {missing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_at_once_than_the_host_can_tell_apart_are_refused_and_the_rest_goes_on() {
    const MOST: usize = 3;
    let bounds = Bounds { at_once: MOST, ..Bounds::default() };
    let hands = Hands::with(Options { bounds, ..Options::default() });
    let mark = mark();
    let sleeper = format!("sleep {mark}");
    let running =
        futures_util::future::join_all((0..MOST).map(|_| hands.shell_for(3_000, &sleeper)));
    let over = async {
        while marked(&mark).len() < MOST {
            tokio::task::yield_now().await;
        }
        let told = hands.exec(&["true"]).await.bad();
        assert!(told.contains("as many run already"), "{told}");
        assert_eq!(marked(&mark).len(), MOST, "nobody was ended for it");
    };
    let (ended, ()) = tokio::join!(running, over);
    assert!(ended.into_iter().all(|told| told.bad().contains("timed out")));
    // With the last of them buried there is room again.
    for _ in 0..MOST {
        while hands.exec(&["true"]).await.bad_because("as many run already") {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn with_no_layer_at_all_a_command_still_runs_and_is_owned() {
    let hands = Hands::with(Options { without: Layer::ALL.to_vec(), ..Options::default() });
    assert_eq!(hands.custody.level().layers().count(), 0);
    assert_eq!(hands.exec(&["echo", "bare"]).await.fine(), "bare\n");
}
