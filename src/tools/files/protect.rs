//! Names that tools keep off, whether the file exists or not: what programs run or trust without
//! being asked must not be written, and what holds secrets must not be read either. No rule and no
//! answer of a person lifts this; who needs it done does it outside of an agent.
//!
//! Names are compared as the most lenient file system would: without case, and without characters
//! that one ignores. So `.GIT` and `.git.` are kept too, where they would be other files.

use greenroom_actors::domain::unseen;

use super::place::Place;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Read,
    Write,
}

/// How a name in the table is compared.
#[derive(Clone, Copy, Debug)]
enum Name {
    Is(&'static str),
    /// The name, or it and a dot and more, but for one that says it is an example.
    Family(&'static str),
}

/// A row: these names in a row, anywhere, and all that lies beneath them.
#[derive(Debug)]
struct Row {
    names: &'static [Name],
    /// Whether reading is refused too.
    secret: bool,
    why: &'static str,
}

use Name::{Family, Is};

const fn kept(names: &'static [Name], why: &'static str) -> Row {
    Row { names, secret: false, why }
}

const fn secret(names: &'static [Name]) -> Row {
    Row { names, secret: true, why: "it holds secrets" }
}

const RUNS: &str = "programs run what it says";
const GIT: &str = "git trusts and runs what is in it";
const SHELL: &str = "a shell runs it";
const AGENT: &str = "it says what agents may do";

const TABLE: &[Row] = &[
    // The whole folder: a hook, a filter, a pager, an alias are all ways to run something.
    kept(&[Is(".git")], GIT),
    kept(&[Is("git~1")], GIT),
    kept(&[Is(".gitconfig")], GIT),
    kept(&[Is(".gitmodules")], GIT),
    kept(&[Is(".hg")], RUNS),
    kept(&[Is(".husky")], RUNS),
    kept(&[Is(".agent")], AGENT),
    kept(&[Is(".agents")], AGENT),
    kept(&[Is(".greenroom")], AGENT),
    kept(&[Is(".claude")], AGENT),
    kept(&[Is(".cursor")], AGENT),
    kept(&[Is(".mcp.json")], AGENT),
    kept(&[Is(".vscode")], RUNS),
    kept(&[Is(".idea")], RUNS),
    kept(&[Is(".cargo"), Family("config")], RUNS),
    kept(&[Is(".bashrc")], SHELL),
    kept(&[Is(".bash_profile")], SHELL),
    kept(&[Is(".bash_login")], SHELL),
    kept(&[Is(".bash_logout")], SHELL),
    kept(&[Is(".profile")], SHELL),
    kept(&[Is(".zshrc")], SHELL),
    kept(&[Is(".zshenv")], SHELL),
    kept(&[Is(".zprofile")], SHELL),
    kept(&[Is(".zlogin")], SHELL),
    kept(&[Is(".zlogout")], SHELL),
    kept(&[Is(".bash_aliases")], SHELL),
    kept(&[Is(".inputrc")], SHELL),
    kept(&[Is(".config"), Is("fish")], SHELL),
    kept(&[Is(".config"), Is("git")], GIT),
    kept(&[Is(".github"), Is("workflows")], RUNS),
    kept(&[Is(".devcontainer")], RUNS),
    kept(&[Is(".devcontainer.json")], RUNS),
    kept(&[Is(".vimrc")], RUNS),
    kept(&[Is(".exrc")], RUNS),
    kept(&[Is(".gdbinit")], RUNS),
    kept(&[Is(".pnpmfile.cjs")], RUNS),
    kept(&[Is(".yarnrc.yml")], RUNS),
    kept(&[Is(".codex")], AGENT),
    kept(&[Is(".gemini")], AGENT),
    kept(&[Is(".windsurf")], AGENT),
    secret(&[Is(".npmrc")]),
    secret(&[Is(".vault-token")]),
    secret(&[Is(".envrc")]),
    secret(&[Family(".env")]),
    secret(&[Is(".ssh")]),
    secret(&[Is(".gnupg")]),
    secret(&[Is(".aws")]),
    secret(&[Is(".azure")]),
    secret(&[Is(".kube")]),
    secret(&[Is(".netrc")]),
    secret(&[Is(".pgpass")]),
    secret(&[Is(".git-credentials")]),
    secret(&[Is(".pypirc")]),
    secret(&[Is(".docker"), Is("config.json")]),
    secret(&[Is(".config"), Is("gcloud")]),
    secret(&[Is(".config"), Is("gh")]),
    secret(&[Is(".cargo"), Family("credentials")]),
    secret(&[Family("id_rsa")]),
    secret(&[Family("id_dsa")]),
    secret(&[Family("id_ecdsa")]),
    secret(&[Family("id_ed25519")]),
];

/// Files of a family that hold no secret: what people copy, and public halves of keys.
const HARMLESS: &[&str] = &["example", "sample", "template", "dist", "pub"];

/// Why a place is kept, if it is.
pub(super) fn kept_from(place: &Place, guarded: &[Place], using: Use) -> Option<&'static str> {
    let names: Vec<String> = place.parts.iter().map(|name| folded(name)).collect();
    let beneath = |guard: &Place| {
        let guard: Vec<String> = guard.parts.iter().map(|name| folded(name)).collect();
        names.starts_with(&guard)
    };
    if guarded.iter().any(|guard| guard.root == place.root && beneath(guard)) {
        return Some("it belongs to the runtime");
    }
    let rows = TABLE.iter().filter(|row| using == Use::Write || row.secret);
    rows.filter(|row| {
        names.windows(row.names.len()).any(|names| {
            names.iter().zip(row.names).all(|(name, wanted)| match wanted {
                Is(wanted) => name == wanted,
                Family(first) => is_of_family(name, first),
            })
        })
    })
    .map(|row| row.why)
    .next()
}

/// What in a repository says what git runs.
const GIT_RUNS: [&str; 3] = ["config", "config.worktree", "hooks"];
/// Where it keeps repositories within it.
const GIT_INNER: [&str; 2] = ["modules", "worktrees"];

/// What processes may not do with something that bears the last of these names, and how many of the
/// folders above it belong to its name. A repository is written by the program whose it is, so of
/// that only what makes it run others is kept.
pub(super) fn from_processes(names: &[&str], is_folder: bool) -> Option<(Use, usize)> {
    let last = names.last()?;
    if let Some(at) = names.iter().position(|name| matches!(*name, ".git" | ".hg")) {
        let runs = |name: &str| GIT_RUNS.contains(&name) || name == "hgrc";
        let pins = match names.get(at + 1..).unwrap_or_default() {
            // A file of that name says where the repository is.
            [] => (!is_folder).then_some(0),
            [own] => runs(own).then_some(1),
            [inner, .., own] => {
                (GIT_INNER.contains(inner) && runs(own)).then(|| names.len() - at - 1)
            }
        };
        return pins.map(|pins| (Use::Write, pins));
    }
    // Most names are none of these, and are told by their first letters.
    let folded_last = folded(last);
    let rows = TABLE.iter().filter(|row| match row.names.last() {
        Some(Is(wanted)) => *wanted == folded_last,
        Some(Family(first)) => is_of_family(&folded_last, first),
        None => false,
    });
    let fits = |row: &&Row| {
        let above = row.names.len() - 1;
        let names = names.len().checked_sub(row.names.len()).and_then(|at| names.get(at..));
        let mut pairs = names.unwrap_or_default().iter().zip(row.names).take(above);
        names.is_some()
            && pairs.all(|(name, wanted)| match wanted {
                Is(wanted) => folded(name) == *wanted,
                Family(first) => is_of_family(&folded(name), first),
            })
    };
    let found = rows.filter(fits).max_by_key(|row| row.secret)?;
    let using = if found.secret { Use::Read } else { Use::Write };
    Some((using, found.names.len() - 1))
}

fn is_of_family(name: &str, first: &str) -> bool {
    match name.strip_prefix(first) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|more| {
            more.rsplit('.').next().is_none_or(|last| !HARMLESS.contains(&last))
        }),
        None => false,
    }
}

/// Whether a walk passes a folder by: nothing in it was written by people.
pub(super) fn is_git(name: &str) -> bool {
    folded(name) == ".git"
}

/// A name as the most lenient file system compares it.
fn folded(name: &str) -> String {
    // Some do not store characters that no eye sees.
    let kept = name.chars().filter(|c| !unseen::has_no_shape(*c)).flat_map(char::to_lowercase);
    let folded: String = kept.collect();
    folded.trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, read: bool, write: bool) {
        let place = Place { root: 0, parts: path.split('/').map(str::to_owned).collect() };
        let guarded = [Place { root: 0, parts: vec!["var".to_owned(), "house.db".to_owned()] }];
        let free = |using| kept_from(&place, &guarded, using).is_none();
        assert_eq!((free(Use::Read), free(Use::Write)), (read, write), "{path}");
    }

    #[test]
    fn what_programs_trust_is_not_written_and_what_holds_secrets_is_not_read() {
        check("src/lib.rs", true, true);
        check("environment/.environment", true, true);
        check("gitignore", true, true);
        check(".gitignore", true, true);
        check(".git", true, false);
        check(".git/hooks/pre-commit", true, false);
        check("vendored/.git/config", true, false);
        check(".agent/settings.toml", true, false);
        check(".cargo/config.toml", true, false);
        check(".cargo/credentials.toml", false, false);
        check(".env", false, false);
        check("web/.env.local", false, false);
        check("web/.env.example", true, true);
        check(".ssh/known_hosts", false, false);
        check("keys/id_rsa", false, false);
        check("keys/id_rsa.pub", true, true);
        check("var/house.db", false, false);
        check("var/house.db/blobs", false, false);
        check("var/house.db-old", true, true);
    }

    #[test]
    fn a_protected_name_in_another_spelling_is_the_same() {
        check(".ENV", false, false);
        check(".Agent/Policy.toml", true, false);
        check(".GIT./hooks/x", true, false);
        check(".g\u{200c}it/config", true, false);
        check("GIT~1/config", true, false);
        check(".Env.LOCAL ", false, false);
        check("Var/HOUSE.db", false, false);
    }

    #[test]
    fn of_a_repository_processes_are_kept_from_what_makes_git_run_something() {
        use Use::{Read, Write};
        for (path, is_folder, want) in [
            ("src/lib.rs", false, None),
            (".git", true, None),
            ("lib/.git", false, Some((Write, 0))),
            ("lib/.git/config", false, Some((Write, 1))),
            (".git/hooks", true, Some((Write, 1))),
            (".git/refs/heads/config", false, None),
            (".git/modules/a/b/config", false, Some((Write, 4))),
            (".git/modules/a/HEAD", false, None),
            (".hg/hgrc", false, Some((Write, 1))),
            ("a/.ENV.local", false, Some((Read, 0))),
            ("a/.env.example", false, None),
            (".github/workflows", true, Some((Write, 1))),
            ("workflows", true, None),
            (".cargo/credentials.toml", false, Some((Read, 1))),
            (".cargo/config.toml", false, Some((Write, 1))),
        ] {
            let names: Vec<&str> = path.split('/').collect();
            assert_eq!(from_processes(&names, is_folder), want, "{path}");
        }
    }
}
