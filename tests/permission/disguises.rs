//! Ways of writing a command so that it is not seen at once: in lists and pipes, in substitutions,
//! functions, here-documents and branches, behind wrappers, in quotes. None may weaken what is decided.

/// Ways to hide a command, none of which may weaken what is decided about it.
const DISGUISES: &[&str] = &[
    "(@)",
    "{ @; }",
    "! @",
    "true; @",
    "true && @",
    "false || @",
    "@ ; true",
    "@ | cat",
    "echo a | { @; }",
    "echo $(@)",
    "echo \"$(@)\"",
    "echo ${x:-$(@)}",
    "cat <(@)",
    "cat <<< \"$(@)\"",
    "if true; then @; fi",
    "if @; then true; fi",
    "while @; do true; done",
    "for i in 1; do @; done",
    "f() { @; }; f",
    "f() { @; }",
    "case a in a) @;; esac",
    "echo a\n@",
    "@ &",
    "[[ -n $(@) ]]",
    "x=$(@)",
    "echo $((1+$(@)))",
    "true | @",
    "cat <<E_E\n$(@)\nE_E",
    "@ 2>/dev/null",
    "echo a; # b\n@",
    "until @; do true; done",
    "echo {a,$(@)}",
];
/// Ways to run a simple command through another one.
const WRAPPERS: &[&str] = &[
    "env @",
    "env A=1 @",
    "command @",
    "builtin @",
    "exec @",
    "nice @",
    "nice -n 5 @",
    "nohup @",
    "timeout 5 @",
    "timeout -k 1 5 @",
    "stdbuf -oL @",
    "setsid @",
    "time @",
    "xargs @",
    "find . -exec @ ';'",
    "sudo @",
    "eval @",
    "busybox @",
    "ionice -c 3 @",
    "strace @",
    "\\@",
    "A=1 @",
    "/usr/bin/env @",
    "''@",
];

fn is_simple(command: &str) -> bool {
    !command.contains([
        '|', ';', '&', '<', '>', '\n', '{', '(', ')', '"', '!', '=', '`', '\\', '$', '#', '[', '*',
    ])
}

/// A command in every disguise, but for quotes.
pub(crate) fn of(command: &str) -> Vec<String> {
    // What closes something that it did not open closes the disguise.
    if command.ends_with([')', '"']) && command.len() <= 5 {
        return Vec::new();
    }
    let fits = |disguise: &&&str| {
        // A here-document ends its own lines.
        let ended = !command.contains('\n') || disguise.contains("\n@");
        // Two brackets begin a sum, which runs nothing.
        let ended = ended && !(command.starts_with('(') && disguise.contains("(@"));
        // One backslash makes a letter of a quote, and a quote of the next one.
        let ended = ended && !(command.starts_with(['\'', '"', '\\']) && **disguise == "\\@");
        // Turned around or in a pipe, a `cd` leaves what follows it where it was.
        ended && !(command.contains("cd ") && matches!(**disguise, "! @" | "true | @"))
    };
    let wrappers = WRAPPERS.iter().filter(|_| is_simple(command));
    let all = DISGUISES.iter().chain(wrappers).filter(fits);
    all.map(|disguise| disguise.replace('@', command)).collect()
}

/// A simple command with its words in quotes of every kind.
pub(crate) fn quoted(command: &str) -> Vec<String> {
    if !is_simple(command) || command.contains('\'') {
        return Vec::new();
    }
    let quotes: [fn(&str) -> String; 5] = [
        |word| format!("'{word}'"),
        |word| format!("\"{word}\""),
        |word| word.chars().map(|c| format!("\\{c}")).collect(),
        |word| word.chars().map(|c| format!("'{c}'")).collect(),
        |word| format!("\"\"{word}''"),
    ];
    let all =
        |quote: fn(&str) -> String| command.split(' ').map(quote).collect::<Vec<_>>().join(" ");
    quotes.into_iter().map(all).collect()
}
