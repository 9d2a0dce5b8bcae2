//! Forty values that nobody may read, in every spelling and from every side at once: a prompt, agents'
//! instructions, a script, files, the output of processes, errors, a vendor's answer, key files, an
//! address with a password. Then everything that is written, told or shown is searched for them.

#![allow(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "test code: its helpers stand outside test functions, and cut what they wrote themselves"
)]

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use aho_corasick::AhoCorasick;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tempfile::TempDir;

use super::{err, greenroom, out};

const CANARIES: u32 = 40;
/// The last of them are in files and in an address, not in the environment.
const IN_FILE: u32 = 38;
const IN_ADDRESS: u32 = 39;

/// What is unlike in each: letters that no hash has.
fn mark(no: u32) -> String {
    let mut rest = u64::from(no + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let letter = |rest: &mut u64| {
        let letter = b"ghjkmnpqrstvwxyz"[(*rest % 16) as usize];
        *rest /= 16;
        char::from(letter)
    };
    (0..12).map(|_| letter(&mut rest)).collect()
}

fn canary(no: u32) -> String {
    if no == IN_ADDRESS { mark(no) } else { format!("cnry{no:02}/Zp+x&\"ä-{}", mark(no)) }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "{byte:02x}").unwrap();
        all
    })
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

/// Every way in which it is written.
fn spellings(canary: &str) -> Vec<String> {
    let json = serde_json::Value::from(canary).to_string();
    let units = canary.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let (front, back) = canary.split_at(9);
    let mut all = vec![
        canary.to_owned(),
        canary.to_uppercase(),
        json.trim_matches('"').to_owned(),
        units,
        hex(canary),
        hex(canary).to_uppercase(),
        utf8_percent_encode(canary, NON_ALPHANUMERIC).to_string(),
        canary.replace('&', "&amp;").replace('"', "&quot;"),
        reversed(canary),
        format!("{front}\u{1b}[31m{back}"),
        format!("password={canary}"),
        // As other languages write it into JSON, pages and dumps.
        json.trim_matches('"').replace('&', "\\u0026"),
        canary.replace('&', "&amp;").replace('"', "&#34;").replace('/', "&#x2F;"),
        canary.chars().map(|c| format!("&#{};", u32::from(c))).collect(),
        dump(canary, " "),
        dump(canary, ":"),
        canary.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
        // Broken into lines.
        lines(&STANDARD.encode(canary), 12),
        lines(&hex(canary), 20),
        lines(canary.trim_end(), 9),
    ];
    all.extend(["", "a", "ab"].map(|before| STANDARD.encode(format!("{before}{canary}cd"))));
    all.extend(
        ["", "a", "ab", "abc", "abcd"].map(|before| base32(&format!("{before}{canary}cdefg"))),
    );
    all
}

fn dump(text: &str, between: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(between)
}

fn lines(text: &str, width: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    let lines: Vec<String> = characters.chunks(width).map(|line| line.iter().collect()).collect();
    lines.join("\n")
}

/// Without what fills the last group up.
fn base32(text: &str) -> String {
    let bits: String = text.bytes().map(|byte| format!("{byte:08b}")).collect();
    let groups = bits.as_bytes().chunks_exact(5);
    let value = |group| usize::from_str_radix(std::str::from_utf8(group).unwrap(), 2).unwrap();
    groups.map(|group| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[value(group)])).collect()
}

/// What tells that one is in a text: whose it is and the words, and two searches for them, of which the
/// first takes capitals for small letters.
type Traces = (Vec<(u32, String)>, [AhoCorasick; 2]);

fn traces() -> &'static Traces {
    static TRACES: OnceLock<Traces> = OnceLock::new();
    TRACES.get_or_init(|| {
        let mut all = Vec::new();
        for no in 0..CANARIES {
            let mark = mark(no);
            let decimal: Vec<String> = mark.bytes().map(|byte| byte.to_string()).collect();
            all.extend([
                (no, hex(&mark)),
                (no, reversed(&mark)),
                (no, mark.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()),
                (no, mark.chars().map(|c| format!("&#{};", u32::from(c))).collect()),
                (no, dump(&mark, " ")),
                (no, dump(&mark, ":")),
                (no, decimal.join(", ")),
                (no, mark),
            ]);
            for before in ["", "a", "ab", "abc", "abcd"] {
                // Some letters in the middle of it are the same whatever stands around it.
                let whole = base32(&format!("{before}{}", canary(no)));
                all.push((no, whole[whole.len() - 16..whole.len() - 2].to_owned()));
            }
        }
        let plain = all.len();
        for no in 0..CANARIES {
            for before in ["", "a", "ab"] {
                let whole = STANDARD.encode(format!("{before}{}", canary(no)));
                let end = whole.trim_end_matches('=').len() - 2;
                all.push((no, whole[end - 10..end].to_owned()));
            }
        }
        let search = |words: &[(u32, String)], is_one_case: bool| {
            let words = words.iter().map(|(_no, word)| word);
            AhoCorasick::builder().ascii_case_insensitive(is_one_case).build(words).unwrap()
        };
        let both = [search(&all[..plain], true), search(&all[plain..], false)];
        (all, both)
    })
}

/// Everything of them that is in a text, however it is spelt, by its number among the traces.
fn all_found(bytes: &[u8]) -> Vec<usize> {
    let (all, [of_any_case, exact]) = traces();
    let plain = of_any_case.patterns_len();
    assert_eq!(all.len(), plain + exact.patterns_len());
    let text = String::from_utf8_lossy(bytes);
    // Lines break words, also where a log writes them as two characters.
    let joined = text.replace("\\n", "").replace(['\r', '\n'], "");
    let mut found = Vec::new();
    for text in [&*text, &*joined] {
        found.extend(of_any_case.find_overlapping_iter(text).map(|at| at.pattern().as_usize()));
        found.extend(exact.find_overlapping_iter(text).map(|at| plain + at.pattern().as_usize()));
    }
    found
}

/// One of those, with the text around it.
fn found(bytes: &[u8]) -> Option<String> {
    let (no, word) = traces().0.get(*all_found(bytes).first()?)?;
    let text = String::from_utf8_lossy(bytes);
    let at = text.to_ascii_lowercase().find(&word.to_ascii_lowercase()).unwrap_or(0);
    let around: String = text.chars().skip(at.saturating_sub(40)).take(120).collect();
    Some(format!("number {no} as {word}: {around}"))
}

#[track_caller]
fn holds_none(place: &str, bytes: &[u8]) {
    assert_eq!(found(bytes), None, "{place}");
}

/// A vendor that refuses everybody and repeats all it was told.
fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut piece = [0; 16_384];
            let read = stream.read(&mut piece).unwrap_or(0);
            let said = String::from_utf8_lossy(&piece[..read]).into_owned();
            let body = serde_json::json!({ "error": { "message": said } }).to_string();
            let head = "HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    port
}

struct House {
    folder: TempDir,
    /// What variables of the environment end with.
    name: &'static str,
    parrot: u16,
}

impl House {
    fn new(name: &'static str) -> Self {
        let house = Self { folder: tempfile::tempdir().unwrap(), name, parrot: parrot() };
        let all: Vec<String> = (0..CANARIES).map(canary).collect();
        let every: String =
            all.iter().flat_map(|one| spellings(one)).map(|one| one + "\n").collect();
        house.put("spelt.txt", &every);
        // So long that it is kept apart, with canaries in every part.
        let between = "nothing but words on this line\n".repeat(9_000);
        house.put("long.txt", &[&*every, &between, &every, &between[..40_000], &every].concat());
        house.put("key", &canary(IN_FILE));
        let key = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(house.at("key"), key).unwrap();
        let words = all.join(" ");
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let script = format!(
            "agent clerk\n    think {words}\n    call read_file {{\"path\": \"spelt.txt\"}}\n    \
             call read_file {{\"path\": {0}}}\n    call exec {{\"argv\": [\"cat\", \"spelt.txt\"]}}\n    \
             call shell {{\"command\": \"cat spelt.txt >&2; env; exit 3\"}}\n    \
             call shell {{\"command\": \"cat long.txt\"}}\n    \
             call shell {{\"command\": {1}}}\n    \
             call shell {{\"command\": \"dd if=spelt.txt bs=7 status=none\"}}\n    \
             call fetch {{\"url\": {2}}}\n    call {mark} {{}}\n    \
             call write_file {{\"path\": \"copy.txt\", \"content\": {0}}}\n  then\n    \
             stream 5 every 1ms\n    say {words}\n    stream 4096 every 1ms\n    say {{results}}\n",
            json(&words),
            json(&format!("echo '{}'", all[0])),
            json(&format!("http://127.0.0.1:1/?key={}", all[1])),
            mark = "no_such_tool",
        );
        house.put("clerk.script", &script);
        let port = house.parrot;
        house.put(
            "team.toml",
            &format!(
                "[models.house]\nprovider = \"scripted\"\nscript = \"clerk.script\"\n\
                 [models.away]\nprovider = \"parrot\"\nmodel = \"m\"\n\
                 [providers.parrot]\nkind = \"openai_chat\"\napi_key_file = \"key\"\n\
                 base_url = \"http://127.0.0.1:{port}/v1\"\n[tools.fetch]\nports = [1]\n\
                 [agents.clerk]\nmodel = \"house\"\nrole = \"coordinator\"\ninstructions = {}\n\
                 tools = [\"read_file\", \"write_file\", \"exec\", \"shell\", \"fetch\"]\n\
                 routes = [\"away\"]\npermissions = {{ mode = \"bypass_permissions\" }}\n\
                 [agents.away]\nmodel = \"away\"\ninstructions = \"You are away.\"\n",
                json(&format!("You keep {words}."))
            ),
        );
        house
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = greenroom(args);
        command.current_dir(self.folder.path()).env("RUST_LOG", "trace");
        let proxy = format!("http://me:{}@127.0.0.1:{}", canary(IN_ADDRESS), self.parrot);
        command.env("HTTP_PROXY", proxy);
        for no in 0..IN_FILE {
            command.env(format!("CANARY_{no}{}", self.name), canary(no));
        }
        command
    }

    /// What a command wrote on both sides.
    fn says(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        format!("{}\n{}", out(&output), err(&output))
    }

    fn play(&self) -> String {
        let prompt = (0..CANARIES).map(canary).collect::<Vec<_>>().join("\n");
        self.says(&["run", "--agents", "team.toml", "--store", "green.db", &prompt])
    }
}

fn files_of_the_store(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("green.db")).collect()
}

#[test]
fn forty_values_in_every_spelling_come_out_nowhere() {
    let house = House::new("_API_KEY");
    // First of all: the key file and the address are known once somebody reads them.
    holds_none("auth", house.says(&["auth", "--agents", "team.toml"]).as_bytes());
    let said = house.play();
    assert!(said.contains("[redacted]") && said.contains("exit code 3"), "{said}");
    holds_none("the run", said.as_bytes());
    assert!(!said.contains("CANARY_1_API_KEY"), "a tool sees no variable of the runtime's");
    let store = ["--store", "green.db"];
    for command in [
        &["log", "clerk", "--json"][..],
        &["log", "clerk"],
        &["tree", "--json"],
        &["sessions", "--json"],
        &["totals"],
        &["metrics"],
        &["doctor"],
        &["approvals"],
    ] {
        // Asked without the environment that knows them: what is not there cannot be shown.
        let args: Vec<&str> = command.iter().chain(&store).copied().collect();
        let output = greenroom(&args).current_dir(house.folder.path()).output().unwrap();
        holds_none(command[0], format!("{}{}", out(&output), err(&output)).as_bytes());
    }
    let mut whole = 0;
    for call in 1..=10 {
        let args = ["output", "clerk", &format!("t{call}"), "--store", "green.db"];
        let output = greenroom(&args).current_dir(house.folder.path()).output().unwrap();
        holds_none(args[2], &output.stdout);
        whole = whole.max(output.stdout.len());
    }
    assert!(whole > 200_000, "the long output is kept whole: {whole}");
    let files = files_of_the_store(house.folder.path());
    assert!(!files.is_empty());
    for file in files {
        holds_none(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
    holds_none("what a tool wrote", &std::fs::read(house.at("copy.txt")).unwrap_or_default());
}

#[test]
fn the_same_house_writes_them_where_nobody_said_that_they_are_secrets() {
    // What the test above looks for can be found: here the variables are called like nothing.
    let house = House::new("_COLOUR");
    assert!(found(house.play().as_bytes()).is_some(), "they are shown");
    let files = files_of_the_store(house.folder.path());
    let there: BTreeSet<usize> =
        files.iter().flat_map(|file| all_found(&std::fs::read(file).unwrap())).collect();
    // What is in the key file and in the address is known all the same.
    let told = |(_at, (no, _word)): &(usize, &(u32, String))| *no < IN_FILE;
    for (at, (no, word)) in traces().0.iter().enumerate().filter(told) {
        assert!(there.contains(&at), "number {no} as {word}");
    }
}
