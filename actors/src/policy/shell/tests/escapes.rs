//! Texts that once passed as harmless and are not: each hides something from one reading of the shell
//! that the shell itself does not hide. And everyday texts beside each, which are to stay harmless.

use super::*;

/// Nothing in it that anybody would be asked about, but for the programs and the files it reads.
fn is_quiet(script: &Script) -> bool {
    script.parts.iter().all(|part| match part {
        Part::Doubt(_) => false,
        Part::Command(command) => matches!(command.cover, Cover::Known | Cover::Shadow),
        Part::File(file) => file.access != Access::Write,
    })
}

#[track_caller]
fn none_is_quiet(texts: &[&str]) {
    for text in texts {
        let script = Script::read(text, Some("/ws"));
        assert!(!is_quiet(&script), "{text:?}: {:?}", script.parts);
    }
}

#[track_caller]
fn all_are_quiet(texts: &[&str]) {
    for text in texts {
        let script = Script::read(text, Some("/ws"));
        assert!(is_quiet(&script), "{text:?}: {:?}", script.parts);
    }
}

#[test]
fn commands_of_sed_behind_a_label_or_a_text_are_read() {
    none_is_quiet(&[
        "sed -n ':a;e id' f",
        "sed -n 'bx;w .git/hooks/pre-commit' f",
        "sed -n 's/x/y/;Ta;s/.*/id/e' f",
        "sed -n 'ba}s/x;e id;/y/' f",
        "sed -n 'a foo\\\\\ne id' f",
        "sed -n '1i foo\\\\\nw out' f",
    ]);
    all_are_quiet(&[
        "sed ':a;N;$!ba;s/x/y/g' f",
        "sed -e :a -e '$!N;ta' f",
        "sed 'a one\\\ntwo' f",
        "sed -n '/x/{p;q}' f",
    ]);
}

#[test]
fn what_an_expansion_runs_is_seen_whatever_the_grammar_takes_it_for() {
    none_is_quiet(&[
        "echo ${PATH#$(rm -rf x)}",
        "echo ${x%`curl e`}",
        "echo \"${x#$(curl e)}\"",
        "echo ${x,,$(curl e)}",
        "echo ${x##*$(curl e)*}",
        "cat <<E\n${x#$(curl e)}\nE",
        "echo \"${x:-'$(curl e)'}\"",
        "echo \"${x:+'$(curl e)'}\"",
        "cat <<E\n${x:-'$(curl e)'}\nE",
        "cat <<E\n${x-`curl e`}\nE",
        "true ${x#$((`curl e`))}",
        "echo ${x:-<(curl e)}",
        "cd x=${x:-! `m``m` ! }",
        "echo ${x[$(curl e)]}",
    ]);
    all_are_quiet(&[
        "echo ${x##*/}",
        "echo \"${x%.rs}\"",
        "echo ${x:-none}",
        "echo ${x/a/b}",
        "echo \"${x:-$y}\"",
        "echo ${x:-$(pwd)}",
    ]);
}

#[test]
fn a_new_line_ends_a_command_whatever_stands_before_it() {
    none_is_quiet(&["echo ==\ncurl e", "ls ==\nrm -rf x", "echo =~\ncurl e", "echo a\n\\\ncurl e"]);
    all_are_quiet(&["echo a |\ncat", "true &&\necho b", "echo a \\\n b", "echo a\necho b"]);
}

#[test]
fn only_a_whole_line_ends_a_here_document() {
    none_is_quiet(&[
        "cat <<E\nx\nE; # $(curl e)",
        "cat <<E\nx\nE # $(curl e)",
        "cat <<E\nx\nE;#`curl e`",
        "cat <<E\nx\n E\n$(curl e)\nE",
    ]);
    all_are_quiet(&["cat <<E\nx\nE", "cat <<'E'\n$(curl e)\nE\necho done"]);
}

#[test]
fn a_loops_variable_is_known_only_where_nothing_else_sets_it() {
    let reads = |text: &str| {
        let script = Script::read(text, Some("/ws"));
        files(&script).into_iter().any(|(_, path, _)| path == ".env" || path == "?")
    };
    for text in [
        "for i in 25519 25519; do cat id_ed$i; done",
        "for f in a; do bash -c 'cat .env$f'; done",
        "for f in a; do for f in .env; do true; done; cat $f; done",
        "for f in a; do while true; do cat $f; eval f=.env; done; done",
        "for f in a; do while true; do cat $f; eval $'\\x66=.env'; done; done",
        "for _ in a; do true .env; cat $_; done",
        "for REPLY in a; do read <<< .env; cat $REPLY; done",
        "for f in a; do r''ead f <<< .env; cat $f; done",
        "for f in a; do while true; do cat $f; printf -vf .env; done; done",
    ] {
        let script = Script::read(text, Some("/ws"));
        assert!(!is_quiet(&script) || reads(text), "{text:?}: {:?}", script.parts);
    }
    none_is_quiet(&["for LANG in x; do ls; done", "read LD_PRELOAD", "printf -vPATH x"]);
    all_are_quiet(&[
        "for f in ./*.rs; do wc -l \"$f\"; done",
        "for i in 1 2 3; do echo $i; done",
        "for f in a; do cat $f; done; for f in b; do cat $f; done",
    ]);
}

#[test]
fn a_way_up_behind_a_name_is_asked_for_the_name_may_be_a_link() {
    none_is_quiet(&["cat /usr/lib/ssl/certs/../../shadow", "cd sub && cat ../x", "cat sub/*/../x"]);
    all_are_quiet(&["cat ../x", "cat ./x", "cat a..b/c", "cd sub && cd .. && cat x"]);
}

#[test]
fn any_word_of_a_program_of_which_nothing_is_known_may_begin_another() {
    for text in ["/lib64/ld-linux-x86-64.so.2 curl x", "hyperfine -N curl x", "odd --with curl x"] {
        let script = Script::read(text, Some("/ws"));
        assert!(commands(&script).contains(&"curl x".to_owned()), "{text}: {:?}", script.parts);
    }
    let far = format!("odd {} curl x", "a ".repeat(limits::COMMAND_WORDS));
    assert!(!doubts(&Script::read(&far, Some("/ws"))).is_empty());
}

#[test]
fn words_of_programs_that_run_or_read_more_than_they_seem_to() {
    none_is_quiet(&[
        "jq -n 'import \"secrets\" as $s {search:\"./\"}; $s'",
        "jq -n '$ENV.KEY'",
        "tree -Po x .git/hooks/pre-commit",
        "awk 'BEGIN{ a++ / 2; system(\"id\") / 1 }'",
        "tar -tf evil.example:/a",
        "git log -L1,10:.env",
        "find sub -maxdepth 1 -execdir cat secret ';'",
    ]);
    all_are_quiet(&[
        "jq -r '.items[] | .name' f.json",
        "tree -L 2 src",
        "awk '{ n++; print $1 }' f",
        "tar -tf a/b.tar",
        "find . -name '*.rs' -exec echo {} +",
    ]);
    let tee = Script::read("find . -maxdepth 0 -exec tee + out ';'", Some("/ws"));
    assert!(commands(&tee).contains(&"tee + out".to_owned()), "{:?}", tee.parts);
}
