//! A policy in a file of its own: `[permissions]` with rules and the folders that may be used. It is
//! what `greenroom permissions` judges by, and what the examples ship.

use std::{fs, path::Path};

use greenroom_actors::{
    domain::permission::{Bounds, RuleSet},
    runtime::Places,
};

use crate::{
    agents_file,
    document::{Mistakes, Section, Sheet},
};

/// What a policy file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFile {
    /// Its rules.
    pub rules: RuleSet,
    /// The folders that may be used.
    pub bounds: Bounds,
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
                policy = Self {
                    rules: agents_file::rules(&section),
                    bounds: agents_file::bounds(&section),
                };
            }
        }
        sheet.finish()?;
        Ok(policy)
    }

    /// Its folders as they are for somebody who works in `cwd`, on top of those that are known.
    #[must_use]
    pub fn places(&self, known: Places, cwd: &str) -> Places {
        let cwd = Some(cwd.to_owned());
        Places {
            project: cwd.clone(),
            workspace: cwd,
            bounds: self.bounds.clone(),
            narrowed: Bounds::default(),
            ..known
        }
    }
}
