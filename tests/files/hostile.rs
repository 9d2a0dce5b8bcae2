//! Paths that try to lead out, files that are none, and names that are kept: each is refused by
//! every tool, in words, and nothing outside is read or written.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
};

use greenroom::{ToolOutcome, tools::files::Root};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use crate::stage::{CANARY, Stage};

/// No tool does anything with this path, and each says this.
async fn nothing_comes_of(stage: &Stage, path: &str, why: &str) {
    for (name, outcome) in stage.every_way(path).await {
        let ToolOutcome::Failed { output } = outcome else { panic!("{name} {path}: {outcome:?}") };
        let said = output.shown();
        assert!(said.contains(why), "{name} {path:?} says: {said}");
        assert!(!said.contains(CANARY), "{name} {path:?} tells: {said}");
    }
    stage.outside_is_untouched();
}

#[tokio::test]
async fn a_path_that_leads_out_is_refused_by_every_tool() {
    let stage = Stage::new();
    stage.put("a/b", "x");
    let out = "is outside of what may be reached";
    for path in [
        "..",
        "../outside/secret.txt",
        "a/../../outside/secret.txt",
        "./a/./../../ws_evil/secret.txt",
        "../ws_evil/secret.txt",
        "/",
        "/etc/passwd",
        "//etc//passwd",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/..",
        "/dev/stdin",
    ] {
        nothing_comes_of(&stage, path, out).await;
    }
    // Beside the workspace and with its name as a beginning.
    let evil = format!("{}_evil/secret.txt", stage.folder().join("ws").display());
    nothing_comes_of(&stage, &evil, out).await;
}

#[tokio::test]
async fn a_path_that_is_none_is_refused_in_words() {
    let stage = Stage::new();
    let deep = "d/".repeat(1_000);
    for (path, why) in [
        ("", "it is empty"),
        ("a\0b", "it has a NUL in it"),
        ("~/.ssh/id_rsa", "`~` stands for nothing here"),
        (&"x".repeat(256), "longer than 255 bytes"),
        (&"x/".repeat(2_049), "longer than 4,096 bytes"),
    ] {
        nothing_comes_of(&stage, path, why).await;
    }
    let said = stage.refused("read_file", json!({ "path": "$HOME/.ssh/id_rsa" })).await;
    assert!(said.contains("must not be read"), "no variable stands for anything: {said}");
    let said = stage.refused("read_file", json!({ "path": format!("{deep}x") })).await;
    assert!(said.contains("does not exist"), "a thousand folders: {said}");
}

#[tokio::test]
async fn a_link_is_not_followed_and_who_meets_one_hears_where_it_leads() {
    let stage = Stage::new();
    stage.put("real/secret.txt", CANARY);
    let link = |to: &str, name: &str| symlink(to, stage.at(name)).unwrap();
    link("real/secret.txt", "inside");
    link("real", "folder");
    link("../outside/secret.txt", "out");
    link("../outside", "out_folder");
    link("/etc/passwd", "absolute");
    link("inside", "chain");
    link("loop", "loop");
    link("/proc/self/root", "magic");
    let leads_out = "it leads outside of what may be reached";
    for (path, why) in [
        ("inside", "ask for real/secret.txt itself"),
        ("folder/secret.txt", "ask for real/secret.txt itself"),
        ("chain", "ask for inside itself"),
        ("loop", "is a symbolic link"),
        ("out", leads_out),
        ("out_folder/secret.txt", leads_out),
        ("absolute", leads_out),
        ("magic/etc/passwd", leads_out),
    ] {
        nothing_comes_of(&stage, path, why).await;
    }
    assert_eq!(fs::read_to_string(stage.at("real/secret.txt")).unwrap(), CANARY);
    let found = stage.done("search_files", json!({"path": ".", "pattern": "CANARY"})).await;
    assert_eq!(found, format!("real/secret.txt\n1: {CANARY}"), "a walk follows none either");
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_and_holds_nobody_up() {
    let stage = Stage::new();
    mknodat(CWD, stage.at("pipe"), FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
    let _socket = UnixListener::bind(stage.at("socket")).unwrap();
    stage.put("folder/x", "x");
    for (name, is) in [("pipe", "a pipe"), ("socket", "a socket"), ("folder", "a folder")] {
        for tool in ["read_file", "write_file", "edit_file"] {
            let args = match tool {
                "read_file" => json!({ "path": name }),
                "write_file" => json!({ "path": name, "content": "x", "replace": true }),
                _ => json!({ "path": name, "edits": [{"old_text": "x", "new_text": "y"}] }),
            };
            let said = stage.refused(tool, args).await;
            assert!(said.contains(is), "{tool} {name}: {said}");
        }
    }
    let found = stage.done("search_files", json!({"path": ".", "pattern": "x"})).await;
    assert_eq!(found, "folder/x\n1: x", "a search passes them by");
    // Devices are beneath a root only where somebody has made the whole machine one.
    let stage = Stage::with(|options| {
        options.roots = vec![Root { path: "/dev".into(), writable: false }];
    });
    for device in ["/dev/zero", "/dev/null"] {
        let said = stage.refused("read_file", json!({ "path": device })).await;
        assert!(said.contains("is a device"), "{said}");
    }
}

#[tokio::test]
async fn another_file_system_is_not_entered() {
    let stage = Stage::with(|options| {
        options.roots = vec![Root { path: "/".into(), writable: false }];
    });
    for path in ["/proc/self/environ", "/proc/self/root/etc/passwd", "/proc/1/status"] {
        let said = stage.refused("read_file", json!({ "path": path })).await;
        assert!(said.contains("lies on another file system"), "{path}: {said}");
    }
}

#[tokio::test]
async fn a_file_with_a_second_name_is_refused_unless_the_host_says_otherwise() {
    let stage = Stage::new();
    fs::hard_link(stage.outside("secret.txt"), stage.at("innocent.txt")).unwrap();
    for tool in ["read_file", "write_file", "edit_file", "search_files"] {
        let args = match tool {
            "read_file" => json!({ "path": "innocent.txt" }),
            "write_file" => json!({ "path": "innocent.txt", "content": "x", "replace": true }),
            "edit_file" => {
                json!({ "path": "innocent.txt", "edits": [{"old_text": "C", "new_text": "y"}] })
            }
            _ => json!({ "path": "innocent.txt", "pattern": "CANARY" }),
        };
        let said = stage.refused(tool, args).await;
        assert!(said.contains("has 2 names (hard links)"), "{tool}: {said}");
    }
    let found = stage.done("search_files", json!({"path": ".", "pattern": "CANARY"})).await;
    assert_eq!(found, "[nothing found in 0 files]");
    stage.outside_is_untouched();

    let stage = Stage::with(|options| options.hard_links = true);
    fs::hard_link(stage.outside("secret.txt"), stage.at("linked.txt")).unwrap();
    assert_eq!(
        stage.done("read_file", json!({"path": "linked.txt"})).await,
        format!("1\t{CANARY}")
    );
    let args = json!({"path": "linked.txt", "content": "mine", "replace": true});
    stage.done("write_file", args).await;
    stage.outside_is_untouched();
}

#[tokio::test]
async fn kept_names_are_refused_whether_they_exist_or_not() {
    let stage = Stage::with(|options| {
        let house = options.roots[0].path.join("house.db");
        options.guarded = vec![house];
    });
    for path in [
        ".git/hooks/pre-commit",
        ".git/config",
        ".GIT/config",
        ".agent/settings.toml",
        ".Agent/Policy.toml",
        ".env",
        ".ENV",
        "sub/.greenroom/x",
        "house.db",
        "HOUSE.db",
    ] {
        let args = json!({ "path": path, "content": "x", "replace": true });
        let said = stage.refused("write_file", args).await;
        assert!(said.contains("must not be written by tools"), "{path}: {said}");
        let above = path.split('/').next().unwrap();
        assert!(!stage.at(above).exists(), "{path}: nor was anything made on the way");
    }
    stage.put(".git/config", "[core]\n");
    assert_eq!(stage.done("read_file", json!({"path": ".git/config"})).await, "1\t[core]");
    for path in [".env", ".ssh/id_ed25519", "house.db"] {
        stage.put(path, CANARY);
        nothing_comes_of(&stage, path, "must not be").await;
    }
    let found = stage.done("search_files", json!({"path": ".", "pattern": "CANARY"})).await;
    assert_eq!(found, "[nothing found in 0 files]", "a search does not tell them either");
}

#[tokio::test]
async fn a_root_for_reading_is_not_written_and_a_second_root_is_named_in_full() {
    let stage = Stage::with(|options| {
        let path = options.roots[0].path.with_file_name("outside");
        options.roots.push(Root { path, writable: false });
    });
    let path = stage.outside("secret.txt").display().to_string();
    assert_eq!(stage.done("read_file", json!({ "path": path })).await, format!("1\t{CANARY}"));
    let listed = stage.done("list_files", json!({ "path": "../outside" })).await;
    assert_eq!(listed, path, "as it must be asked for");
    let said = stage.refused("write_file", json!({"path": path, "content": "", "replace": true}));
    assert!(said.await.contains("may only be read"));
    stage.outside_is_untouched();
}

#[tokio::test]
async fn a_name_that_is_no_utf8_is_listed_and_breaks_nothing() {
    let stage = Stage::new();
    fs::write(stage.at("").join(OsStr::from_bytes(b"bad\xff\x1b[2J")), CANARY).unwrap();
    stage.put("good", CANARY);
    let listed = stage.done("list_files", json!({"path": "."})).await;
    assert_eq!(listed, "bad\u{fffd}\\u{1b}[2J (name is not UTF-8)\ngood");
    let found = stage.done("search_files", json!({"path": ".", "pattern": "CANARY"})).await;
    assert_eq!(found, format!("good\n1: {CANARY}"));
}

#[tokio::test]
async fn a_call_of_a_host_is_relative_to_its_own_folder_and_no_further() {
    let stage = Stage::new();
    stage.put("sub/file", "mine");
    let sub = stage.at("sub").display().to_string();
    let stage = stage.standing_in(sub);
    assert_eq!(stage.done("read_file", json!({"path": "file"})).await, "1\tmine");
    assert_eq!(stage.done("list_files", json!({"path": ".."})).await, "sub/\nsub/file");
    let outside = stage.folder().join("outside").display().to_string();
    let stage = stage.standing_in(outside);
    nothing_comes_of(&stage, "secret.txt", "is outside of what may be reached").await;
    let stage = stage.standing_in("sub");
    let said = stage.refused("read_file", json!({"path": "file"})).await;
    assert!(said.contains("is not absolute"), "{said}");
}
