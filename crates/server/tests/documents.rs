//! The documents tell the truth about where things are.

#![expect(clippy::expect_used, reason = "a test's helpers fail and tell the test")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

fn documents() -> Vec<PathBuf> {
    let guides = fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    ["README.md", "ARCHITECTURE.md"].map(|name| root().join(name)).into_iter().chain(guides).collect()
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        let rooms = ["crates/", "apps/", "docs/", "scripts/"];
        let quoted = text.split('`').skip(1).step_by(2).filter(|word| rooms.iter().any(|room| word.starts_with(room)));
        let quoted = quoted.map(|word| root().join(word));
        let linked = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let linked = linked.filter(|link| !link.is_empty() && !link.contains("://")).map(|link| folder.join(link));
        for path in quoted.chain(linked) {
            checked += 1;
            assert!(path.exists(), "{} names {}, which does not exist", document.display(), path.display());
        }
    }
    assert!(checked > 40, "only {checked} paths found; the documents are written differently now");
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the map");
    for room in fs::read_dir(root().join("crates")).expect("crates") {
        let name = room.expect("an entry").file_name().into_string().expect("a name");
        assert!(map.contains(&format!("`crates/{name}`")), "ARCHITECTURE.md does not mention crates/{name}");
    }
}
