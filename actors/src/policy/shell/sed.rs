//! Scripts for `sed`, read as far as needed to see what they do besides editing: `w`, `r` and their
//! capitals name files, `e` and the flag `e` run programs. What is not understood is an error in words,
//! and so is a form that only some versions of the program know.

use super::Access;

/// The files that a script names.
///
/// # Errors
/// Why it is not harmless, in words.
pub(super) fn read(script: &str) -> Result<Vec<(Access, String)>, String> {
    let mut reader = Reader { rest: script.chars().collect(), at: 0, files: Vec::new() };
    while reader.command()? {}
    Ok(reader.files)
}

#[derive(Debug)]
struct Reader {
    rest: Vec<char>,
    at: usize,
    files: Vec<(Access, String)>,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn after(&self) -> Option<char> {
        self.rest.get(self.at + 1).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// One command; `false` at the end.
    fn command(&mut self) -> Result<bool, String> {
        self.skip(|c| matches!(c, ' ' | '\t' | '\n' | ';' | '}'));
        if self.peek().is_none() {
            return Ok(false);
        }
        self.address()?;
        self.skip(|c| matches!(c, ' ' | '\t' | '!'));
        match self.next() {
            Some('{') => {}
            Some('#') => drop(self.line()),
            Some(
                'p' | 'P' | 'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'x' | 'n' | 'N' | '=' | 'z' | 'F',
            ) => {
                self.end()?;
            }
            Some('q' | 'Q' | 'l') => {
                self.skip(|c| c == ' ' || c.is_ascii_digit());
                self.end()?;
            }
            Some('s') => self.substitute()?,
            Some('y') => {
                let delimiter = self.next().ok_or("the sed script ends early")?;
                self.part(delimiter)?;
                self.part(delimiter)?;
                self.end()?;
            }
            Some('a' | 'i' | 'c') => loop {
                // A line that ends in a backslash goes on, unless that is itself escaped.
                let line = self.line();
                let backslashes = line.chars().rev().take_while(|c| *c == '\\').count();
                if backslashes % 2 == 0 {
                    break;
                }
            },
            Some('b' | 't' | 'T' | ':') => self.label()?,
            Some('r' | 'R') => self.file(Access::Read)?,
            Some('w' | 'W') => self.file(Access::Write)?,
            Some('e') => return Err("the sed script runs a command".to_owned()),
            Some(other) => return Err(format!("the sed command {other:?} is not understood")),
            None => return Err("the sed script ends after an address".to_owned()),
        }
        Ok(true)
    }

    fn address(&mut self) -> Result<(), String> {
        loop {
            match self.peek() {
                Some('/') => {
                    self.at += 1;
                    self.part('/')?;
                    self.skip(|c| matches!(c, 'I' | 'M'));
                }
                Some('\\') => {
                    self.at += 1;
                    let delimiter = self.next().ok_or("the sed script ends early")?;
                    self.part(delimiter)?;
                    self.skip(|c| matches!(c, 'I' | 'M'));
                }
                Some(c) if c.is_ascii_digit() || matches!(c, '$' | ',' | '~' | '+' | ' ') => {
                    self.at += 1;
                }
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Up to a delimiter.
    fn part(&mut self, delimiter: char) -> Result<(), String> {
        if matches!(delimiter, '\\' | '\n') || delimiter.is_alphanumeric() {
            return Err("the sed script has an odd delimiter".to_owned());
        }
        let mut in_class = false;
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                '[' if !in_class => {
                    in_class = true;
                    let first = self.peek();
                    if first == Some(']') || (first == Some('^') && self.after() == Some(']')) {
                        return Err("the sed script has a bracket in brackets".to_owned());
                    }
                }
                ']' => in_class = false,
                // Versions differ in whether it ends the part within brackets.
                c if c == delimiter && in_class => {
                    return Err("the sed script has its delimiter in brackets".to_owned());
                }
                c if c == delimiter => return Ok(()),
                _ => {}
            }
        }
        Err("the sed script ends early".to_owned())
    }

    fn substitute(&mut self) -> Result<(), String> {
        let delimiter = self.next().ok_or("the sed script ends early")?;
        self.part(delimiter)?;
        self.replacement(delimiter)?;
        loop {
            match self.peek() {
                Some('g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9') => self.at += 1,
                Some('w') => {
                    self.at += 1;
                    return self.file(Access::Write);
                }
                Some('e') => return Err("the sed script runs what it has edited".to_owned()),
                Some(_) | None => return self.end(),
            }
        }
    }

    fn replacement(&mut self, delimiter: char) -> Result<(), String> {
        while let Some(c) = self.next() {
            match c {
                '\\' => drop(self.next()),
                c if c == delimiter => return Ok(()),
                _ => {}
            }
        }
        Err("the sed script ends early".to_owned())
    }

    /// What may follow a command.
    fn end(&mut self) -> Result<(), String> {
        self.skip(|c| matches!(c, ' ' | '\t'));
        match self.peek() {
            None | Some(';' | '\n' | '}' | '#') => Ok(()),
            Some(other) => Err(format!("the sed script has {other:?} after a command")),
        }
    }

    /// A label's name. What may stand in one differs between versions, so only what all agree on is
    /// taken, and the commands behind it are read.
    fn label(&mut self) -> Result<(), String> {
        self.skip(|c| matches!(c, ' ' | '\t'));
        self.skip(|c| c.is_ascii_alphanumeric() || c == '_');
        self.skip(|c| matches!(c, ' ' | '\t'));
        match self.peek() {
            None | Some(';' | '\n') => Ok(()),
            Some(other) => Err(format!("the sed script has {other:?} behind a label")),
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        while let Some(c) = self.next().filter(|c| *c != '\n') {
            line.push(c);
        }
        line
    }

    /// A file's name, which goes to the end of the line.
    fn file(&mut self, access: Access) -> Result<(), String> {
        let name = self.line().trim_start().to_owned();
        if name.is_empty() {
            return Err("the sed script names no file".to_owned());
        }
        if !matches!(name.as_str(), "/dev/stdout" | "/dev/stderr" | "/dev/stdin") {
            self.files.push((access, name));
        }
        Ok(())
    }
}
