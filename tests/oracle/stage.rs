//! A throw-away workspace as commands like to find one, with a home beside it. What rules keep from
//! being read lies in it too, under the eyes of every command.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::starter::PATH;

const FILES: &[(&str, &str)] = &[
    ("ws/README.md", "# Read me\n\nmain text\nerror: none\n"),
    ("ws/src/lib.rs", "pub fn lib() {}\n"),
    ("ws/src/main.rs", "fn main() {\n    let x = 1;\n}\n"),
    ("ws/docs/guide.md", "install\nmain\n"),
    ("ws/docs/deep/more.md", "deep error\n"),
    ("ws/data.csv", "name,value\na,1\nb,2\n"),
    ("ws/notes.txt", "one\ntwo\nmain\n"),
    ("ws/names.txt", "b\na\nb\n"),
    ("ws/a.txt", "1\n2\n3\n"),
    ("ws/b.txt", "2\n3\n4\n"),
    ("ws/a file with spaces.txt", "spaces\n"),
    ("ws/list.json", "{\"items\": [1, 2], \"name\": \"x\"}\n"),
    ("ws/sums", "d41d8cd98f00b204e9800998ecf8427e  a.txt\n"),
    ("ws/.gitignore", "out\n/.env\n"),
    ("ws/.env", "TOKEN=main error one\n"),
    ("ws/docs/.env", "TOKEN=main\n"),
    ("ws/.hidden", "main\n"),
    ("ws/out/old", "old\n"),
    ("home/.ssh/id_rsa", "main key\n"),
    ("home/notes.txt", "main\n"),
    ("beside/secret.txt", "main\n"),
    ("said", ""),
];

/// Where they lead, and where they lie.
const LINKS: &[(&str, &str)] = &[
    ("notes.txt", "ws/link"),
    ("docs/deep", "ws/deeper"),
    ("../beside/secret.txt", "ws/far"),
    ("../home", "ws/out/home"),
    (".env", "ws/plain"),
];

/// Makes it below a folder; that folder's real path.
pub(crate) fn make(folder: &Path) -> io::Result<PathBuf> {
    let stage = folder.canonicalize()?;
    for (path, text) in FILES {
        let path = stage.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&stage))?;
        fs::write(path, text)?;
    }
    for (target, link) in LINKS {
        std::os::unix::fs::symlink(target, stage.join(link))?;
    }
    // Without one of these programs its files are missing, which is no less everyday.
    for words in [
        "git init -q .",
        "git add .",
        "git -c user.name=a -c user.email=a@b commit -q -m one",
        "git tag v1.0",
        "tar -cf archive.tar src",
        "gzip -k data.csv",
        "zip -q archive.zip a.txt",
    ] {
        let mut words = words.split(' ');
        let Some(program) = words.next() else { continue };
        let ended = Command::new(program)
            .args(words)
            .current_dir(stage.join("ws"))
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", stage.join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        drop(ended);
    }
    Ok(stage)
}
