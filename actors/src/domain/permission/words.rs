//! The names of answers: one set, whichever way a person or a program says them, so that a face spells
//! none of its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Answer;
use crate::domain::tool::Args;

/// The name of an answer, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerWord {
    /// Yes, this call.
    Once,
    /// Yes, and everything that would be asked until the turn ends.
    Turn,
    /// Yes, and calls like it for the rest of this session.
    Session,
    /// Yes, and calls like it in every session from now on.
    Always,
    /// Yes, and everything that would be asked in this session.
    All,
    /// Yes, with other arguments.
    Edit,
    /// No.
    No,
    /// No, and never calls like it in this session.
    Never,
    /// No, and the model should read this.
    Comment,
    /// Not like this.
    Revise,
}

/// An answer without something that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerLacks {
    /// The words that a model should read.
    #[error("this answer needs a text for the model")]
    Text,
    /// The arguments.
    #[error("this answer needs arguments")]
    Args,
}

/// A word that is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read answer {text:?}: expected one of {}", AnswerWord::ALL.map(AnswerWord::word).join(", "))]
pub struct BadAnswer {
    /// What was read.
    pub text: String,
}

impl AnswerWord {
    /// Each of them.
    pub const ALL: [Self; 10] = [
        Self::Once,
        Self::Turn,
        Self::Session,
        Self::Always,
        Self::All,
        Self::Edit,
        Self::No,
        Self::Never,
        Self::Comment,
        Self::Revise,
    ];

    /// The word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Turn => "turn",
            Self::Session => "session",
            Self::Always => "always",
            Self::All => "all",
            Self::Edit => "edit",
            Self::No => "no",
            Self::Never => "never",
            Self::Comment => "comment",
            Self::Revise => "revise",
        }
    }

    /// What it says, for whoever chooses.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Once => "Yes, this call",
            Self::Turn => "Yes, and everything that would be asked until the turn ends",
            Self::Session => "Yes, and calls like it in this session",
            Self::Always => "Yes, and calls like it in every session from now on",
            Self::All => "Yes, and everything that would be asked in this session",
            Self::Edit => "Yes, with other arguments",
            Self::No => "No",
            Self::Never => "No, and never calls like it in this session",
            Self::Comment => "No, and the model reads this",
            Self::Revise => "Not like this: the model tries again with this in mind",
        }
    }

    /// The answer, with what it carries; what it does not carry is for the caller to refuse.
    ///
    /// # Errors
    /// When it lacks what it needs.
    pub fn with(self, text: Option<String>, args: Option<Args>) -> Result<Answer, AnswerLacks> {
        let told = || text.ok_or(AnswerLacks::Text);
        Ok(match self {
            Self::Once => Answer::Once,
            Self::Turn => Answer::Turn,
            Self::Session => Answer::Session,
            Self::Always => Answer::Always,
            Self::All => Answer::All,
            Self::Edit => Answer::Edit { args: args.ok_or(AnswerLacks::Args)? },
            Self::No => Answer::Reject,
            Self::Never => Answer::Never,
            Self::Comment => Answer::Comment { text: told()? },
            Self::Revise => Answer::Revise { feedback: told()? },
        })
    }
}

impl Answer {
    /// Its name.
    #[must_use]
    pub const fn word(&self) -> AnswerWord {
        match self {
            Self::Once => AnswerWord::Once,
            Self::Turn => AnswerWord::Turn,
            Self::Session => AnswerWord::Session,
            Self::Always => AnswerWord::Always,
            Self::All => AnswerWord::All,
            Self::Edit { .. } => AnswerWord::Edit,
            Self::Reject => AnswerWord::No,
            Self::Never => AnswerWord::Never,
            Self::Comment { .. } => AnswerWord::Comment,
            Self::Revise { .. } => AnswerWord::Revise,
        }
    }
}

impl fmt::Display for AnswerWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for AnswerWord {
    type Err = BadAnswer;

    fn from_str(text: &str) -> Result<Self, BadAnswer> {
        let found = Self::ALL.into_iter().find(|word| word.word() == text);
        found.ok_or_else(|| BadAnswer { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_is_written_and_an_answer_knows_its_own() {
        for word in AnswerWord::ALL {
            assert_eq!(word.to_string().parse(), Ok(word));
            let json = format!("\"{word}\"");
            assert_eq!(serde_json::from_str::<AnswerWord>(&json).unwrap(), word);
            let answer = word.with(Some("text".to_owned()), Some(Args("{}".to_owned())));
            assert_eq!(answer.map(|answer| answer.word()), Ok(word));
        }
        assert_eq!(AnswerWord::Edit.with(None, None), Err(AnswerLacks::Args));
        assert_eq!(AnswerWord::Comment.with(None, None), Err(AnswerLacks::Text));
        assert!("yes".parse::<AnswerWord>().is_err());
    }
}
