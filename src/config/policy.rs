//! A policy in a file of its own: `[permissions]` with rules and the folders that may be used. It is
//! what `greenroom permissions` judges by, and what the examples ship.

use std::{fs, path::Path};

use greenroom_actors::{domain::permission::RuleSet, runtime::Places};

use crate::{
    agents_file,
    document::{Mistakes, Section, Sheet},
};

/// What a policy file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its rules.
    pub rules: RuleSet,
    /// Folders outside of which nothing is used; relative ones begin at the working folder.
    pub roots: Vec<String>,
    /// Folders outside of them that may be read.
    pub readable: Vec<String>,
}

impl PolicyFile {
    /// Reads a policy file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub fn read(path: &Path) -> Result<Self, Mistakes> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Mistakes::unreadable(&name, &error.to_string()))?;
        let sheet = Sheet::new(&name, &text);
        let mut policy = Self::default();
        if let Some(table) = sheet.parse() {
            let all = Section::outermost(&sheet, &table);
            all.only(&["permissions"]);
            if let Some(section) = all.section("permissions") {
                section.only(&["roots", "readable", "deny", "ask", "allow"]);
                let texts =
                    |key: &str| section.texts(key).into_iter().map(|text| text.value).collect();
                policy = Self {
                    rules: agents_file::rules(&section),
                    roots: texts("roots"),
                    readable: texts("readable"),
                };
            }
        }
        sheet.finish()?;
        Ok(policy)
    }

    /// Its folders as they are for somebody who works in `cwd`, on top of those that are known.
    #[must_use]
    pub fn places(&self, known: Places, cwd: &str) -> Places {
        let placed = |folder: &String| {
            if folder.starts_with('/') { folder.clone() } else { format!("{cwd}/{folder}") }
        };
        Places {
            project: Some(cwd.to_owned()),
            roots: self.roots.iter().map(placed).collect(),
            readable: self.readable.clone(),
            ..known
        }
    }
}
