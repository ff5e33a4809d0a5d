//! Files of hosts for static pages: they name the folder that a build leaves, whatever builds it.

use super::{Package, Serves, output::Told};
use crate::deploy::detect::reading::{ends, field, inside, setting};

/// A host's file, and the key in it that names the folder.
const HOSTS: &[(&str, &str)] = &[
    ("netlify.toml", "publish"),
    ("vercel.json", "outputDirectory"),
    ("firebase.json", "public"),
    ("wrangler.toml", "pages_build_output_dir"),
    ("wrangler.jsonc", "pages_build_output_dir"),
    ("wrangler.json", "pages_build_output_dir"),
];

impl Package<'_> {
    /// The folder that a host would serve; of the root alone.
    pub(super) fn hosted(&self) -> Option<Told> {
        let read = |file: &str, key: &str| {
            let text = self.tree.text(file)?;
            if ends(file, ".toml") { field(text, key).map(str::to_owned) } else { setting(text, key) }
        };
        let told = |(file, line): &(&'static str, &'static str)| {
            Some(Told { folder: inside(&read(file, line)?)?, file: (*file).to_owned(), line })
        };
        HOSTS.iter().filter(|_| self.member.is_none()).find_map(told)
    }

    /// What a build script that nobody knows leaves, when a host's file says where.
    pub(super) fn hosted_files(&self) -> Option<Serves> {
        let told = self.hosted().filter(|_| self.build_script().is_some())?;
        let proof = self.tree.proof_at(&told.file, told.line, format!("static files in {}", told.folder));
        Some(Serves::Files { folder: told.folder, proof })
    }
}
