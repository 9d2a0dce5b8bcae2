//! Vendors from outside: what `models` and `auth` say, what a run over HTTP leaves behind, and that
//! no credential is in any of it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use super::{
    err, folder, greenroom, json, out,
    vendor::{Answer, Asked, Vendor, list, words},
};

/// What must be seen nowhere.
const KEY: &str = "canary-7f3a9c-never-to-be-seen";
const MODEL: &str = "llama-3.1-8b-instant";

/// A command with nothing of this machine's environment: it may hold real credentials.
fn clean(args: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = greenroom(args);
    command.env_clear().env("GREENROOM_HOME", "/nowhere/at/all");
    command.envs(variables.iter().copied());
    command
}

fn ran(args: &[&str], variables: &[(&str, &str)]) -> Output {
    clean(args, variables).output().expect("the binary runs")
}

/// An agents file with one agent at a vendor of kind `groq` at this address.
fn crew(folder: &Path, url: &str, more: &str) -> String {
    let text = format!(
        "[providers.stage]\nkind = \"groq\"\nbase_url = \"{url}\"\napi_key_env = \"STAGE_KEY\"\n\
         stream = false\n{more}\n[models.m]\nprovider = \"stage\"\nmodel = \"{MODEL}\"\n\
         [agents.a]\ninstructions = \"x\"\nlimits = {{ retries = 0 }}\n"
    );
    let path = folder.join("crew.toml");
    fs::write(&path, text).expect("a file");
    path.to_string_lossy().into_owned()
}

/// Lists two models and answers every chat.
fn friendly(asked: &Asked) -> Answer {
    if asked.is("GET", "/models") {
        return list(&[MODEL, "novelty-1"]);
    }
    words(MODEL, "Curtain up.")
}

/// Refuses, and repeats what it was sent, as some vendors do.
fn refusing(asked: &Asked) -> Answer {
    let sent = asked.head.replace(['\r', '\n'], " ").replace('"', "'");
    (401, format!(r#"{{"error":{{"message":"bad key in {sent}","code":"invalid_api_key"}}}}"#))
}

#[test]
fn models_are_live_with_what_is_known_and_each_says_which() {
    let (folder, _) = folder();
    let vendor = Vendor::open(friendly);
    let crew = crew(folder.path(), &vendor.url(), "");
    let set = [("STAGE_KEY", KEY)];
    let all = ran(&["models", "--agents", &crew, "--json"], &set);
    assert_eq!(all.status.code(), Some(0), "{}", err(&all));
    let all = json(&out(&all));
    let find = |provider: &str, model: &str| {
        let mut lines = all.as_array().expect("a list").iter();
        lines.find(|line| line["provider"] == provider && line["model"] == model).cloned()
    };
    let known = find("stage", MODEL).expect("served and known");
    assert_eq!((&known["live"], &known["listed"]), (&true.into(), &true.into()), "{known}");
    assert_eq!(known["context"], 131_072);
    let new = find("stage", "novelty-1").expect("served");
    assert_eq!((&new["live"], &new["listed"]), (&true.into(), &false.into()), "{new}");
    assert!(new["price"].is_null(), "{new}");
    let gone = find("stage", "openai/gpt-oss-120b").expect("known");
    assert_eq!((&gone["live"], &gone["price"]["input"]), (&false.into(), &"0.15".into()), "{gone}");
    let other = find("anthropic", "claude-opus-5-5").expect("known");
    assert!(other["live"].is_null(), "{other}");

    let few = ran(&["models", "--agents", &crew, "--provider", "stage", "--prefix", "nov"], &set);
    let few = out(&few);
    let lines: Vec<&str> = few.lines().collect();
    assert_eq!(lines.len(), 2, "{few}");
    assert!(lines[1].starts_with("stage") && lines[1].contains("novelty-1  live"), "{few}");
}

#[test]
fn a_vendor_that_fails_hides_no_other_and_counts_where_it_was_asked_for() {
    let (folder, _) = folder();
    let vendor = Vendor::open(refusing);
    let crew = crew(folder.path(), &vendor.url(), "");
    let set = [("STAGE_KEY", KEY)];
    let all = ran(&["models", "--agents", &crew], &set);
    assert_eq!(all.status.code(), Some(0), "{}", err(&all));
    assert!(err(&all).starts_with("stage: stage answered 401"), "{}", err(&all));
    assert!(out(&all).contains("claude-opus-5-5") && out(&all).contains(MODEL), "{}", out(&all));
    let one = ran(&["models", "--agents", &crew, "--provider", "stage"], &set);
    assert_eq!(one.status.code(), Some(1));
    let none = ran(&["models", "--provider", "groq"], &[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(err(&none).contains("groq: no credential: set GROQ_API_KEY"), "{}", err(&none));
    assert!(out(&none).contains(MODEL), "{}", out(&none));
    // A vendor that cannot even be set up is one that fails.
    let astray = [("STAGE_KEY", KEY), ("XAI_API_KEY", KEY), ("XAI_BASE_URL", "http://[")];
    let all = ran(&["models", "--agents", &crew], &astray);
    assert_eq!(all.status.code(), Some(0), "{}", err(&all));
    assert!(err(&all).contains("xai: set up provider xai: base_url"), "{}", err(&all));
}

#[test]
fn auth_asks_each_vendor_and_says_what_to_set() {
    let (folder, _) = folder();
    let (good, bad) = (Vendor::open(friendly), Vendor::open(refusing));
    let set = [("STAGE_KEY", KEY), ("GROQ_API_KEY", KEY), ("GROQ_BASE_URL", &bad.url())];
    let file = crew(folder.path(), &good.url(), "");
    // What no agent uses may fail.
    let all = ran(&["auth", "--agents", &file], &set);
    assert_eq!(all.status.code(), Some(0), "{}{}", out(&all), err(&all));
    let text = out(&all);
    assert!(text.contains("stage     STAGE_KEY     works"), "{text}");
    assert!(text.contains("groq      GROQ_API_KEY  groq answered 401"), "{text}");
    assert!(!text.contains(KEY), "{text}");
    let head = good.asked()[0].head.to_ascii_lowercase();
    assert!(head.contains(&format!("authorization: bearer {KEY}")), "{head}");
    let one = ran(&["auth", "--provider", "groq", "--json"], &set);
    assert_eq!(one.status.code(), Some(1));
    let one = json(&out(&one));
    assert_eq!((&one[0]["works"], &one[0]["needed"]), (&false.into(), &true.into()), "{one}");
    // What an agent uses may not.
    let unset = ran(&["auth", "--agents", &file], &[]);
    assert_eq!(unset.status.code(), Some(1));
    assert!(out(&unset).contains("no credential: set STAGE_KEY"), "{}", out(&unset));
    let none = ran(&["auth"], &[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(err(&none).contains("ANTHROPIC_API_KEY"), "{}", err(&none));
}

#[test]
fn names_that_lead_nowhere_say_what_to_use() {
    let check = |name: &str, said: &str| {
        let auth = ran(&["auth", "--provider", name], &[]);
        assert_eq!(auth.status.code(), Some(1));
        assert!(err(&auth).contains(said), "{}", err(&auth));
    };
    check("antropic", "did you mean \"anthropic\"?");
    check("github_models", "answers 410");
    check("antigravity", "GEMINI_API_KEY");
}

#[test]
fn a_missing_key_ends_a_run_before_anything_is_begun() {
    let (folder, store) = folder();
    let vendor = Vendor::open(friendly);
    let crew = crew(folder.path(), &vendor.url(), "");
    let run = ran(&["run", "--agents", &crew, "--store", &store, "Go."], &[]);
    assert_eq!(run.status.code(), Some(1));
    let said = err(&run);
    assert!(said.contains("provider stage"), "{said}");
    assert!(said.contains("no credential: set STAGE_KEY, or name a file"), "{said}");
    assert!(!Path::new(&store).exists() && vendor.asked().is_empty(), "nothing was begun");
}

#[test]
fn a_run_over_http_answers_and_the_file_decides_how() {
    let (folder, store) = folder();
    let vendor = Vendor::open(friendly);
    let crew = crew(folder.path(), &vendor.url(), "headers = { x-team = \"lights\" }");
    let key = folder.path().join("key");
    fs::write(&key, format!("{KEY}\n")).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("its mode");
    let text = fs::read_to_string(&crew).expect("the file");
    fs::write(&crew, text.replace("api_key_env = \"STAGE_KEY\"", "api_key_file = \"key\""))
        .expect("a file");
    let run = ran(&["run", "--agents", &crew, "--store", &store, "Go."], &[]);
    assert_eq!(run.status.code(), Some(0), "{}", err(&run));
    assert!(out(&run).contains("Curtain up."), "{}", out(&run));
    let asked = vendor.asked();
    assert_eq!(asked.len(), 1, "verified by its call alone");
    assert!(asked[0].is("POST", "/chat/completions"), "{asked:?}");
    assert!(asked[0].head.contains("x-team: lights"), "{asked:?}");
    assert!(asked[0].body.contains(MODEL), "{asked:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("its mode");
    let open = ran(&["run", "--agents", &crew, "--store", &store, "Go."], &[]);
    assert_eq!(open.status.code(), Some(1));
    assert!(err(&open).contains("chmod 600"), "{}", err(&open));
}

/// Every byte that a command left or said.
fn everything(folder: &Path, outputs: &[Output]) -> Vec<u8> {
    let mut all = Vec::new();
    for file in fs::read_dir(folder).expect("the folder").flatten() {
        if file.path().is_file() {
            all.extend(fs::read(file.path()).expect("a file"));
        }
    }
    for output in outputs {
        all.extend(&output.stdout);
        all.extend(&output.stderr);
    }
    all
}

#[test]
fn a_credential_is_in_no_store_no_log_no_trace_and_no_error() {
    for answer in [friendly as fn(&Asked) -> Answer, refusing] {
        let (folder, store) = folder();
        let vendor = Vendor::open(answer);
        let crew = crew(folder.path(), &vendor.url(), "");
        let set = [("STAGE_KEY", KEY), ("RUST_LOG", "trace")];
        let at = |args: &[&str]| ran(&[args, &["--store", &store]].concat(), &set);
        let mut outputs = vec![
            at(&["run", "--agents", &crew, "Go."]),
            at(&["log", "a", "--json"]),
            at(&["sessions", "--json"]),
            at(&["doctor"]),
            at(&["config", "show", "--origin"]),
        ];
        for args in [["models"], ["auth"]] {
            outputs.push(ran(&[&args[..], &["--agents", &crew, "--json"]].concat(), &set));
        }
        let sent = vendor.asked();
        assert!(sent.iter().all(|asked| asked.head.contains(KEY)), "it was used: {sent:?}");
        let all = everything(folder.path(), &outputs);
        let said = String::from_utf8_lossy(&all);
        assert!(
            said.contains("answered 401") || said.contains("Curtain up."),
            "something was said"
        );
        let at = said.find(KEY);
        let near =
            at.map(|at| said.chars().skip(at.saturating_sub(200)).take(300).collect::<String>());
        assert_eq!(near, None);
    }
}

#[test]
fn this_machine_is_reached_without_a_proxy_and_others_through_it() {
    let (folder, _) = folder();
    let vendor = Vendor::open(friendly);
    let crew = crew(folder.path(), &vendor.url(), "");
    let auth = |extra: &[(&str, &str)], args: &[&str]| {
        let set = [&[("STAGE_KEY", KEY), ("GROQ_API_KEY", KEY)], extra].concat();
        ran(&[&["auth"], args].concat(), &set).status.code()
    };
    let file = ["--agents", crew.as_str(), "--provider", "stage"];
    assert_eq!(auth(&[("HTTP_PROXY", "http://127.0.0.1:1")], &file), Some(0));
    assert_eq!(vendor.asked().len(), 1);
    // Another machine, whose name leads nowhere: only the proxy can answer for it.
    let origin = vendor.origin();
    let far = [("GROQ_BASE_URL", "http://vendor.invalid/v1"), ("HTTP_PROXY", origin.as_str())];
    assert_eq!(auth(&far, &["--provider", "groq"]), Some(0));
    assert!(vendor.asked()[1].line.starts_with("GET http://vendor.invalid/v1/models"));
    let except = [far.as_slice(), &[("NO_PROXY", "example.com, vendor.invalid")]].concat();
    assert_eq!(auth(&except, &["--provider", "groq"]), Some(1));
    assert_eq!(vendor.asked().len(), 2);
}

#[test]
fn the_example_for_real_vendors_is_right() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/vendors.toml");
    let check = ran(&["config", "check", example], &[]);
    assert_eq!(check.status.code(), Some(0), "{}", err(&check));
}
