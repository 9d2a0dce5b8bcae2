//! What a person types, as an answer. What is not understood is no answer: the question stays open,
//! because a slip of the finger must neither allow nor forbid.

use greenroom_actors::domain::{permission::Answer, tool::Args};

/// The line that says what can be typed.
pub(super) const CHOICES: &str =
    "[y]es [t]urn [s]ession [a]lways [n]o ne[v]er [e]dit [c]omment [?] >";
/// What the choices mean, each in a line that fits 80 columns.
pub(super) const MEANING: &str = concat!(
    "  y  yes, this call\n",
    "  t  yes, and all that would be asked in this turn\n",
    "  s  yes, and calls like it in this session\n",
    "  a  yes, and calls like it in every session of this store\n",
    "  n  no\n",
    "  v  no, and never calls like it in this session\n",
    "  e  yes, with other arguments: `e {\"key\": \"value\"}`\n",
    "  c  no, and the model reads why: `c TEXT`",
);

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// An answer.
    Answer(Answer),
    /// Other arguments are wanted: the next line has them.
    WantsArgs,
    /// A comment is wanted: the next line has it.
    WantsComment,
    /// Somebody wants to know what can be typed.
    Help,
    /// Not understood, and why.
    Unclear(String),
}

/// Reads a line typed at a question.
pub(super) fn choice(line: &str) -> Typed {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let word = word.to_lowercase();
    if !rest.is_empty() && !matches!(word.as_str(), "e" | "edit" | "c" | "comment") {
        return Typed::Unclear(format!("{word:?} takes nothing behind it"));
    }
    match word.as_str() {
        "y" | "yes" | "once" => Typed::Answer(Answer::Once),
        "t" | "turn" => Typed::Answer(Answer::Turn),
        "s" | "session" => Typed::Answer(Answer::Session),
        "a" | "always" => Typed::Answer(Answer::Always),
        "n" | "no" => Typed::Answer(Answer::Reject),
        "v" | "never" => Typed::Answer(Answer::Never),
        "e" | "edit" if rest.is_empty() => Typed::WantsArgs,
        "e" | "edit" => edited(rest),
        "c" | "comment" if rest.is_empty() => Typed::WantsComment,
        "c" | "comment" => comment(rest),
        "?" | "h" | "help" => Typed::Help,
        "" => Typed::Unclear("nothing was typed".to_owned()),
        other => Typed::Unclear(format!("{other:?} is no answer")),
    }
}

/// Reads other arguments.
pub(super) fn edited(line: &str) -> Typed {
    let args = Args(line.trim().to_owned());
    match args.object() {
        Ok(_object) => Typed::Answer(Answer::Edit { args }),
        Err(_not_an_object) => Typed::Unclear("arguments are a JSON object in one line".to_owned()),
    }
}

/// Reads a comment.
pub(super) fn comment(line: &str) -> Typed {
    let text = line.trim().to_owned();
    if text.is_empty() {
        return Typed::Unclear("a comment says something".to_owned());
    }
    Typed::Answer(Answer::Comment { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_a_letter_and_a_word() {
        let check = |letter: &str, word: &str, answer: Answer| {
            assert_eq!(choice(letter), Typed::Answer(answer.clone()), "{letter}");
            assert_eq!(choice(&format!("  {} ", word.to_uppercase())), Typed::Answer(answer));
        };
        check("y", "yes", Answer::Once);
        check("t", "turn", Answer::Turn);
        check("s", "session", Answer::Session);
        check("a", "always", Answer::Always);
        check("n", "no", Answer::Reject);
        check("v", "never", Answer::Never);
    }

    #[test]
    fn arguments_and_comments_come_in_the_same_line_or_the_next() {
        let args = Args(r#"{"a": 1}"#.to_owned());
        assert_eq!(choice(r#"e {"a": 1}"#), Typed::Answer(Answer::Edit { args: args.clone() }));
        assert_eq!(choice("edit"), Typed::WantsArgs);
        assert_eq!(edited(" {\"a\": 1}\n"), Typed::Answer(Answer::Edit { args }));
        let text = "not today".to_owned();
        assert_eq!(choice("c not today"), Typed::Answer(Answer::Comment { text: text.clone() }));
        assert_eq!(choice("comment"), Typed::WantsComment);
        assert_eq!(comment("not today\n"), Typed::Answer(Answer::Comment { text }));
    }

    #[test]
    fn what_can_be_typed_fits_a_narrow_terminal() {
        let name = 12;
        assert!(CHOICES.chars().count() + name < 80);
        assert!(MEANING.lines().all(|line| line.chars().count() < 80 && line.starts_with("  ")));
    }

    #[test]
    fn what_is_not_understood_answers_nothing() {
        for line in ["", "  ", "x", "yess", "y please", "ja", "e [1]", "e {", "al ways", "no way"] {
            assert!(matches!(choice(line), Typed::Unclear(_)), "{line}");
        }
        assert!(matches!(comment(" "), Typed::Unclear(_)));
        assert_eq!(choice("?"), Typed::Help);
    }
}
