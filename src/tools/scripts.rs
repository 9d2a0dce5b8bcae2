//! Looks at the files that a command would run, so that an approval can hold to their content. Only a
//! plain file is read, without waiting for anybody, and never more of it than the limit: what is larger
//! counts as not seen.

use std::{fs::OpenOptions, io::Read as _, os::unix::fs::OpenOptionsExt as _};

use greenroom_actors::{domain::permission::ScriptSeen, limits};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

/// Each file as it is now.
pub(super) fn look(paths: Vec<String>) -> Vec<ScriptSeen> {
    let seen = |path: String| ScriptSeen { sha256: content(&path), path };
    paths.into_iter().take(limits::SCRIPT_FILES).map(seen).collect()
}

/// The content of a file, as a hash; nothing where there is none to be read.
fn content(path: &str) -> Option<String> {
    // A pipe of that name would be waited for.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let about = file.metadata().ok()?;
    if !about.is_file() || about.len() > limits::SCRIPT_FILE_BYTES {
        return None;
    }
    let mut hash = Sha256::new();
    let mut file = file.take(limits::SCRIPT_FILE_BYTES + 1);
    let mut piece = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                bytes += read as u64;
                hash.update(piece.get(..read)?);
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_unreadable) => return None,
        }
    }
    let hex = |byte: &u8| format!("{byte:02x}");
    (bytes <= limits::SCRIPT_FILE_BYTES).then(|| hash.finalize().iter().map(hex).collect())
}
