//! Extensions: an allow-list, created by síndico itself.

use pg_query::{NodeEnum, protobuf as pb};

use super::Rewrite;
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

/// What they add runs with its caller's privileges and reaches no files, programs, connections or other sessions.
const ALLOWED: [&str; 15] = [
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "intarray",
    "isn",
    "ltree",
    "pg_trgm",
    "pgcrypto",
    "tablefunc",
    "unaccent",
    "uuid-ossp",
];

/// Why some well-known ones are not on it.
const REFUSED: [(&str, &str); 11] = [
    ("postgis", "it is not installed on síndico's clusters, and its spatial_ref_sys has rows that all would share"),
    ("pg_stat_statements", "it shows the statements of all tenants of a server; whoever runs the clusters has it"),
    ("dblink", "it opens connections of its own, past the tenant's boundary"),
    ("postgres_fdw", "it opens connections of its own, past the tenant's boundary"),
    ("file_fdw", "it reads the server's files"),
    ("adminpack", "it writes the server's files"),
    ("pg_cron", "its jobs run for no tenant; schedule them in the application"),
    ("pageinspect", "it shows pages of tables past row-level security"),
    ("pg_buffercache", "it shows what other tenants use"),
    ("pgstattuple", "it counts other tenants' rows"),
    ("plpython3u", "it is an untrusted language"),
];

/// CREATE EXTENSION.
pub(super) fn create(statement: &pb::CreateExtensionStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let name = statement.extname.as_str();
    if name == "plpgsql" {
        return Ok(Rewrite::dropped("plpgsql is in every database already"));
    }
    for option in &statement.options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { return Err(super::refused::nothing()) };
        let value = option.arg.as_deref().and_then(tree::string);
        match (option.defname.as_str(), value) {
            ("schema", Some("public" | "extensions" | "pg_catalog")) | ("cascade", _) => {}
            ("schema", _) => {
                return Err(Fault::unsupported(
                    "a schema for an extension",
                    "leave SCHEMA out: síndico has one for all",
                ));
            }
            _ => {
                return Err(Fault::unsupported("VERSION of an extension", "leave it out: it is the server's own one"));
            }
        }
    }
    if !ALLOWED.contains(&name) {
        let known = REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why);
        let why = known.unwrap_or("it has not been examined for what it shows one tenant of another");
        return Err(Fault::new(
            format!("the extension {name} is not available to apps: {why}"),
            format!("do without it, or use one of {}", ALLOWED.join(", ")),
        ));
    }
    require(name, schema);
    Ok(Rewrite::dropped(format!("síndico creates {name} in schema extensions, before the app's own statements")))
}

/// Notes that the app relies on an extension, and on those that this one needs.
pub(super) fn require(name: &str, schema: &mut Schema) {
    if name == "earthdistance" {
        require("cube", schema);
    }
    if !schema.objects.extensions.iter().any(|known| known == name) {
        schema.objects.extensions.push(name.to_owned());
    }
}

/// ALTER EXTENSION.
pub(super) fn alter() -> Fault {
    Fault::unsupported("ALTER EXTENSION", "remove it: the extension has the server's version, in síndico's schema")
}

/// DROP EXTENSION: without CASCADE nothing uses it any more, so nobody notices that it stays.
pub(super) fn drop(statement: &pb::DropStmt) -> Verdict<Rewrite> {
    if statement.behavior() == pb::DropBehavior::DropCascade {
        return Err(Fault::unsupported(
            "DROP EXTENSION … CASCADE",
            "drop what depends on it in statements of their own, and leave CASCADE out",
        ));
    }
    Ok(Rewrite::dropped("the extension stays: síndico creates what any of the app's statements asks for"))
}
