//! Which files a command uses, whatever names them: an option, a wildcard, a class of characters, a word
//! that looks like another kind; and what rules say of those.

use greenroom_actors::domain::permission::Decision;

use super::{decision, file, policy, verdict};

/// Letters that are no cluster, a pattern by an option, options in a file: each takes a word away from the
/// files, or adds one, and which rules hold for it goes by what is left.
#[test]
fn no_file_is_taken_for_a_word_of_another_kind() {
    let policy = policy(&file("everyday"));
    for (command, want) in [
        ("xxd -p -l 16 a.txt", Decision::Allow),
        ("xxd -c16 a.txt", Decision::Allow),
        ("xxd -ps a.txt out.txt", Decision::Ask),
        ("xxd -r -ps hex out.txt", Decision::Ask),
        ("xxd -bc a.txt out.txt", Decision::Ask),
        ("xxd -ps .env", Decision::Deny),
        ("xxd -E a.txt -src/main.rs", Decision::Ask),
        ("file -b a.txt", Decision::Allow),
        ("file --mime-encoding -ph a.txt", Decision::Ask),
        ("zgrep -e x a.txt", Decision::Allow),
        ("zgrep -e x .env", Decision::Deny),
        ("zgrep -ex .env", Decision::Deny),
        ("zgrep -hex .env", Decision::Deny),
        ("strings a.txt", Decision::Allow),
        ("strings @a.txt", Decision::Ask),
        ("strings -n @a.txt b.txt", Decision::Ask),
        ("strings @.env", Decision::Deny),
        ("xxd --len=5 -s a.txt", Decision::Ask),
        ("xxd -r --len=5 -s hex out.txt", Decision::Ask),
        ("tar -tf a.tar", Decision::Allow),
        ("tar -tf -- -f a.tar -I x", Decision::Ask),
        ("tar tf -- --use-compress-program=x", Decision::Ask),
        ("md5sum docs/*.md", Decision::Allow),
        ("md5sum -c sums", Decision::Ask),
        ("b2sum --check sums", Decision::Ask),
        ("df -x tmpfs .", Decision::Allow),
        ("df -xt .env", Decision::Deny),
        ("column -no .env", Decision::Deny),
        ("git ls-files --eol -o", Decision::Ask),
        ("grep -e docs/*.md a.txt", Decision::Ask),
        ("grep --include src/*.rs .env a.txt", Decision::Ask),
        ("grep -e .en* a.txt", Decision::Ask),
        ("grep .en* a.txt", Decision::Ask),
        ("git grep .en* a.txt", Decision::Ask),
        ("git branch --sort *", Decision::Ask),
        ("unzip -l a.zip", Decision::Allow),
        ("unzip -l '.en?'", Decision::Ask),
        ("zipinfo '[a].zip'", Decision::Ask),
        ("git branch --abbrev=7 -v", Decision::Allow),
        ("git branch --abbrev made", Decision::Ask),
        ("git diff -U .env", Decision::Deny),
        ("git log --abbrev .env", Decision::Deny),
    ] {
        let found = verdict(&policy, command);
        assert_eq!(found.decision, want, "{command}: {:?}", found.reasons);
    }
}

#[test]
fn a_class_of_characters_hides_no_file_that_a_rule_means() {
    let policy = policy(&file("workspace"));
    for command in [
        "cat .en[v]",
        "cat .[e]nv",
        "cat .en[!x]",
        "cat .en[[:alpha:]]",
        "cat .en[\"v\"]",
        "cat .en[x']'v]",
        "cat a/.e[n]v",
        "for f in .en[v]; do cat \"$f\"; done",
    ] {
        assert_eq!(decision(&policy, command), Decision::Ask, "{command}");
    }
    // No class matches a dot in front, and this name is another.
    for command in ["cat [.]env", "cat src/[ab].rs", "cat .en'[v]'"] {
        assert_eq!(decision(&policy, command), Decision::Allow, "{command}");
    }
}

#[test]
fn a_wildcard_lists_no_folder_that_may_not_be_read() {
    let policy = policy(&file("workspace"));
    for command in [
        "echo /etc/*",
        "echo ../*",
        "echo */../../*",
        "ls; echo ~/*",
        "echo /e*/x",
        "for f in /etc/*; do true; done",
    ] {
        assert_eq!(decision(&policy, command), Decision::Deny, "{command}");
    }
    for command in ["echo *", "echo src/*", "echo */*.rs", "echo '/etc/*'", "echo a[1]"] {
        assert_eq!(decision(&policy, command), Decision::Allow, "{command}");
    }
}

#[test]
fn a_file_that_is_written_behind_another_is_asked_about_also_where_a_wildcard_stands() {
    let policy = policy(&file("everyday"));
    for command in ["uniq *.txt", "uniq a[12]", "xxd *", "xxd a b", "uniq -- ?"] {
        assert_eq!(decision(&policy, command), Decision::Ask, "{command}");
    }
}

#[test]
fn a_rule_for_files_holds_for_whatever_names_them() {
    let policy = policy(&file("workspace"));
    for command in [
        "cat .env",
        "cat ./.env",
        "cat a/../.env",
        "cat -- .env",
        "head -n1 .env",
        "grep -f .env x",
        "grep --file=.env x",
        "grep x .env",
        "wc <.env",
        "cat < .env",
        "cat $(echo a) .env",
        "cat /ws/.env",
        "cat .ENV",
        "tail -n 5 a/.env",
        "anything .env",
        "anything --file=.env",
        "anything -f.env",
        "anything @.env",
        "cat /proc/self/environ",
        "cat ~/.ssh/id_rsa",
        "cat \"$HOME/.ssh/id_rsa\"",
        "cat /etc/passwd",
        "cat ../x",
        "cd .. && ls",
        "for f in .env; do cat \"$f\"; done",
        "echo x > .git/config",
        "cd .git && echo x > config",
        "sed -n 'w .git/config' x",
        "sed -n 'r .env' x",
        "find . -fprint .git/hooks/x",
        "tar -xf a -C /",
        "ln -s / x",
        "dd of=.git/hooks/x",
        "git show HEAD:.env",
        "rg x /etc",
        "[ -f /etc/passwd ]",
        "cat .e?v .env",
    ] {
        assert_eq!(decision(&policy, command), Decision::Deny, "{command}");
    }
}
