//! Reading an app's folder, and the sample app that the binary carries.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use catalog::AppFile;
use rust_embed::RustEmbed;

/// The pet shop, so that `sindico up` has an app wherever it is started.
#[derive(RustEmbed)]
#[folder = "../../apps/petshop"]
struct PetShop;

/// An app as text.
#[derive(Debug)]
pub(crate) struct AppDir {
    /// `app.toml`.
    pub(crate) manifest: String,
    /// `migrations/*.sql` and `seed/*.sql`.
    pub(crate) files: Vec<AppFile>,
}

impl AppDir {
    /// Reads a folder. Anything in `migrations` and `seed` that is no SQL file is named rather than left out.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let manifest = folder.join("app.toml");
        if !folder.is_dir() {
            bail!("{} is not a folder; give the folder that holds app.toml", folder.display());
        }
        let manifest = fs::read_to_string(&manifest).with_context(|| {
            format!("cannot read {}; an app's folder has app.toml, migrations/*.sql and seed/*.sql", manifest.display())
        })?;
        let mut files = Vec::new();
        for part in ["migrations", "seed"] {
            let inside = folder.join(part);
            if inside.is_dir() {
                read_part(&inside, part, &mut files)?;
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { manifest, files })
    }

    /// The pet shop.
    pub(crate) fn sample() -> anyhow::Result<Self> {
        let text = |path: &str| {
            let file = PetShop::get(path).with_context(|| format!("the sample app lacks {path}"))?;
            String::from_utf8(file.data.into_owned()).with_context(|| format!("the sample app's {path} is not UTF-8"))
        };
        let mut files = Vec::new();
        for path in PetShop::iter().filter(|path| path.ends_with(".sql")) {
            files.push(AppFile { content: text(&path)?, path: path.into_owned() });
        }
        Ok(Self { manifest: text("app.toml")?, files })
    }
}

fn read_part(inside: &Path, part: &str, files: &mut Vec<AppFile>) -> anyhow::Result<()> {
    let entries = fs::read_dir(inside).with_context(|| format!("cannot read {}", inside.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read {}", inside.display()))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        // Editors' and version control's own files.
        if name.starts_with('.') {
            continue;
        }
        if path.extension().is_none_or(|kind| kind != "sql") || !path.is_file() {
            bail!("{} is no SQL file; {part}/ holds *.sql only", path.display());
        }
        let content =
            fs::read_to_string(&path).with_context(|| format!("cannot read {} as UTF-8 text", path.display()))?;
        if content.contains('\0') {
            bail!("{} holds a NUL byte, which no SQL has; save it as plain text", path.display());
        }
        files.push(AppFile { path: format!("{part}/{name}"), content });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/petshop");
        let (folder, sample) = (AppDir::read(&folder).expect("read"), AppDir::sample().expect("embedded"));
        let mut embedded = sample.files;
        embedded.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!((sample.manifest, embedded), (folder.manifest, folder.files));
    }

    #[test]
    fn what_is_missing_or_strange_is_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let error = |path: &Path| format!("{:#}", AppDir::read(path).expect_err("refused"));
        assert!(error(&dir.path().join("nowhere")).contains("not a folder"));
        assert!(error(dir.path()).contains("app.toml"));
        fs::write(dir.path().join("app.toml"), "name = \"x\"").expect("written");
        fs::create_dir(dir.path().join("migrations")).expect("made");
        fs::write(dir.path().join("migrations/readme.txt"), "").expect("written");
        assert!(error(dir.path()).contains("readme.txt"));
    }
}
