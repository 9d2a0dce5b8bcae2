//! Variables by name: which change what runs, which are known to change nothing of the kind. A name in
//! neither list is asked about, unless it is a lower-case name that lives in the shell alone.

use super::{Word, statements::Walk, words::is_name};

/// What setting a variable means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    /// Output, language, verbosity.
    Harmless,
    /// Unknown.
    Open,
    /// Which program or code runs, or where it looks for it.
    Hazard,
}

/// Names that decide which program or code runs.
const HAZARDS: &[&str] = &[
    "PATH",
    "ENV",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "BASH_XTRACEFD",
    "PROMPT_COMMAND",
    "PS0",
    "PS1",
    "PS2",
    "PS3",
    "PS4",
    "CDPATH",
    "EXECIGNORE",
    "FPATH",
    "HISTFILE",
    "HOME",
    "IFS",
    "SHELL",
    "PAGER",
    "MANPAGER",
    "LESS",
    "LESSOPEN",
    "LESSCLOSE",
    "MORE",
    "EDITOR",
    "VISUAL",
    "BROWSER",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
    "PYTHONBREAKPOINT",
    "PERL5LIB",
    "PERL5OPT",
    "PERL5DB",
    "PERLLIB",
    "RUBYOPT",
    "RUBYLIB",
    "NODE_OPTIONS",
    "NODE_PATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "PHPRC",
    "LUA_PATH",
    "LUA_CPATH",
    "LUA_INIT",
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTDOCFLAGS",
    "CARGO",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "CC",
    "CXX",
    "LD",
    "AR",
    "CPP",
    "CFLAGS",
    "MAKEFLAGS",
    "MAKEFILES",
    "MFLAGS",
    "GNUMAKEFLAGS",
    "GOFLAGS",
    "GOPATH",
    "GOROOT",
    "GOPROXY",
    "TAR_OPTIONS",
    "GREP_OPTIONS",
    "RIPGREP_CONFIG_PATH",
    "RSYNC_RSH",
    "CVS_RSH",
    "TERMINFO",
    "TERMCAP",
    "MAGIC",
    "JQ_LIBRARY_PATH",
    "AWKPATH",
    "AWKLIBPATH",
    "POSIXLY_CORRECT",
    "SUDO_ASKPASS",
    "SSH_ASKPASS",
    "GCONV_PATH",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "MALLOC_TRACE",
    "TMPDIR",
    "KUBECONFIG",
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "GNUPGHOME",
    "OPENSSL_CONF",
    "SSL_CERT_FILE",
];
/// Beginnings of such names.
const HAZARD_STARTS: &[&str] = &[
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_",
    "npm_config_",
    "NPM_CONFIG_",
    "PIP_",
    "MAVEN_",
    "GRADLE_",
];
/// Ends of such names.
const HAZARD_ENDS: &[&str] = &[
    "_COMMAND",
    "_PAGER",
    "_EDITOR",
    "_WRAPPER",
    "_RUNNER",
    "_LINKER",
    "_PRELOAD",
    "_ASKPASS",
    "_SHELL",
    "_PROXY",
    "_proxy",
    "_OPTS",
    "_RUSTFLAGS",
];
/// Names that change how much is said, in which language and colour.
const HARMLESS: &[&str] = &[
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_LOG_STYLE",
    "RUST_TEST_THREADS",
    "CARGO_TERM_COLOR",
    "CARGO_INCREMENTAL",
    "CI",
    "LANG",
    "LANGUAGE",
    "LC_ALL",
    "LC_COLLATE",
    "LC_CTYPE",
    "LC_MESSAGES",
    "LC_NUMERIC",
    "LC_TIME",
    "TZ",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "LINES",
    "TERM",
    "DEBUG",
    "VERBOSE",
    "NODE_ENV",
    "PYTHONUNBUFFERED",
    "PYTHONDONTWRITEBYTECODE",
    "PROPTEST_CASES",
];

fn meaning(name: &str) -> Meaning {
    let hazard = HAZARDS.contains(&name)
        || HAZARD_STARTS.iter().any(|start| name.starts_with(start))
        || HAZARD_ENDS.iter().any(|end| name.ends_with(end));
    if hazard {
        Meaning::Hazard
    } else if HARMLESS.contains(&name) {
        Meaning::Harmless
    } else {
        Meaning::Open
    }
}

impl Walk<'_> {
    /// `name=value`, for one command or, `lasting`, for the shell.
    pub(super) fn judge_assignment(&mut self, name: &str, value: &Word, lasting: bool) {
        self.sets(name);
        match meaning(name) {
            Meaning::Hazard => self.judge_name(name),
            Meaning::Harmless if value.text().is_some_and(is_modest) => {}
            Meaning::Open if lasting && is_own(name) => {}
            Meaning::Harmless | Meaning::Open => {
                self.script
                    .doubt(format!("it sets the variable {name}, of which nothing is known"));
            }
        }
    }

    /// A name that the shell gives a value of which nothing is known. Programs see it where they saw one
    /// of that name before.
    pub(super) fn judge_exported(&mut self, name: &str) {
        self.sets(name);
        self.judge_loop(name);
    }

    /// The same for the variable of a loop.
    pub(super) fn judge_loop(&mut self, name: &str) {
        self.judge(name);
        if meaning(name) != Meaning::Hazard && is_name(name) && !is_own(name) {
            self.script.doubt(format!("it sets the variable {name}, of which nothing is known"));
        }
    }

    /// A name that is given a value in whatever way.
    pub(super) fn judge_name(&mut self, name: &str) {
        self.sets(name);
        self.judge(name);
    }

    fn judge(&mut self, name: &str) {
        // An element of a list that has the name, or of none, is the variable itself.
        let whole = name.split('[').next().unwrap_or_default();
        if meaning(whole) == Meaning::Hazard {
            self.script.refuse(format!("it sets {whole}, which changes what programs run or find"));
        } else if !is_name(name) {
            self.script.doubt("what is set is not a plain name");
        }
    }
}

/// A variable that the shell keeps to itself: nothing that it starts has one of that name.
fn is_own(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_modest(value: &str) -> bool {
    let plain = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | '=' | '+' | '/' | ':')
    };
    value.chars().all(plain) && !value.starts_with(['/', ':', '.']) && !value.contains("..")
}
