//! A credential by reference: where it is found, never what it is. A file is read anew for each
//! call, so that a token which another program renews is always the latest; it must be readable by
//! its owner alone.

use std::{
    fmt,
    fs::{self, File},
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use secrecy::{ExposeSecret as _, SecretString};

use crate::telemetry::redact::Secrets;

/// Longest credential that is read: tokens of Google's are 1 to 2 KiB.
const KEY_BYTES: u64 = 16 * 1024;

/// Where a credential is.
#[derive(Clone)]
pub enum Key {
    /// None is needed.
    None,
    /// In a variable of the environment, as it was at the start.
    Variable {
        /// Its name.
        name: String,
        /// What it held.
        value: Option<SecretString>,
    },
    /// In a file.
    File(PathBuf),
    /// In one of these places, and kept out of everything that is written from the moment it is
    /// found.
    Watched {
        /// Where.
        key: Box<Key>,
        /// Who keeps it out.
        secrets: Secrets,
    },
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The variable is not set.
    #[error("no credential: set {name}, or name a file that holds it with `api_key_file`")]
    NotSet {
        /// Which.
        name: String,
    },
    /// The file cannot be read.
    #[error("read the credential in {path}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others may read the file.
    #[error("the credential in {path} can be read by others: chmod 600 {path}", path = path.display())]
    Open {
        /// Which.
        path: PathBuf,
    },
    /// The file is empty or no text.
    #[error("{path} holds no credential: a line of text was expected", path = path.display())]
    Empty {
        /// Which.
        path: PathBuf,
    },
}

impl Key {
    /// The credential, where one is needed.
    ///
    /// # Errors
    /// When it is not there; the words say what to do.
    pub(crate) fn find(&self) -> Result<Option<SecretString>, KeyError> {
        match self {
            Self::None => Ok(None),
            Self::Variable { value: Some(value), .. } => Ok(Some(value.clone())),
            Self::Variable { name, value: None } => Err(KeyError::NotSet { name: name.clone() }),
            Self::File(path) => read(path).map(Some),
            Self::Watched { key, secrets } => {
                let found = key.find()?;
                if let Some(value) = found.as_ref().map(|value| value.expose_secret()) {
                    match key.as_ref() {
                        // What is in a file is renewed; what is not must outlast all renewals.
                        Self::File(_) => secrets.learn_passing(value),
                        Self::None | Self::Variable { .. } | Self::Watched { .. } => {
                            secrets.learn(value);
                        }
                    }
                }
                Ok(found)
            }
        }
    }

    /// The same, and what is found there from now on is kept out by these; what is there now as well.
    #[must_use]
    pub fn watched(self, secrets: &Secrets) -> Self {
        let (key, secrets) = (Box::new(self), secrets.clone());
        let watched = Self::Watched { key, secrets };
        // What is not there yet is learnt when it is.
        let _is_there = watched.is_there();
        watched
    }

    /// Where it is, in words that name no secret.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Variable { name, .. } => name.clone(),
            Self::File(path) => path.display().to_string(),
            Self::Watched { key, .. } => key.place(),
        }
    }

    /// Whether none is needed.
    pub(crate) fn is_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::Variable { .. } | Self::File(_) => false,
            Self::Watched { key, .. } => key.is_none(),
        }
    }

    /// Whether something is there, without looking whether a vendor takes it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.find().is_ok()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.place()).finish()
    }
}

fn read(path: &PathBuf) -> Result<SecretString, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.clone(), source };
    // Opening a pipe waits for whoever writes into it, perhaps for ever, and it can be read once.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(unreadable(std::io::Error::other("it is no regular file")));
    }
    let file = File::open(path).map_err(unreadable)?;
    // Looked at on the open file, so that it is this one's.
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(KeyError::Open { path: path.clone() });
    }
    let mut text = String::new();
    file.take(KEY_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    let key = SecretString::from(text.trim());
    if key.expose_secret().is_empty() {
        return Err(KeyError::Empty { path: path.clone() });
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::chain;

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let made = std::process::Command::new("mkfifo").args(["-m", "600"]).arg(&path).status();
        assert!(made.unwrap().success());
        // Nobody writes into it: opening it would hang this test.
        let error = Key::File(path).find().map(drop).unwrap_err();
        assert!(chain(&error).contains("no regular file"), "{}", chain(&error));
    }

    #[test]
    fn a_file_is_read_anew_each_time_and_refused_where_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let held = |text: &str, mode: u32| {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let found = Key::File(path.clone()).find();
            found.map(|key| key.unwrap().expose_secret().to_owned()).map_err(|error| chain(&error))
        };
        assert_eq!(held(" one\n", 0o600).unwrap(), "one");
        assert_eq!(held("two", 0o600).unwrap(), "two");
        assert!(held("", 0o600).unwrap_err().contains("holds no credential"));
        for mode in [0o640, 0o604, 0o620] {
            assert!(held("hush", mode).unwrap_err().contains("chmod 600"), "{mode:o}");
        }
    }
}
