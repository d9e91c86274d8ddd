//! Collecting what the attacker is taken to know: everything that a name can tell.

use aws_lc_rs::error::Unspecified;
use data_encoding::HEXLOWER;
use domain::{Access, Isolation, Role, quote_ident};

use crate::AuditError;
use crate::canary::Canary;
use crate::client::Client;
use crate::names::Names;
use crate::operator::Operator;
use crate::place::Place;
use crate::scene::qualified;

/// A function that tells what it is given, and that a planner would like to call first.
const LEAK: &str = "CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0000001
    AS $$BEGIN RAISE NOTICE '%', $1; RETURN true; END$$";

/// The sequence of the victim's that its tables' first serial or identity column draws from.
const SEQUENCE: &str = "
    SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname = ANY ($1::text[]) ORDER BY array_position($1::text[], n.nspname::text), c.relname
    LIMIT 1";

const PRIMARY_KEY: &str = "
    SELECT i.indexrelid::regclass::text FROM pg_index i WHERE i.indisprimary AND i.indrelid = $1::text::regclass";

/// Names that follow from who the two are.
pub(crate) async fn names(
    attacker: &Canary,
    victim: &Canary,
    place: &Place,
    word: &str,
    mine: &str,
    within: &Operator,
) -> Result<Names, AuditError> {
    let mut names = Names::default();
    let tenant = &victim.tenant;
    let placement = &tenant.placement;
    let app = tenant.app.names();
    let group = match placement.isolation {
        Isolation::Shared => app.shared_rw,
        Isolation::Schema => app.schema_group,
        Isolation::Database | Isolation::Cluster => app.own_rw,
    };
    let (own, others) = (&attacker.tenant, &tenant.id);
    let (head, tail) = word.split_at(3);
    for (name, value) in [
        ("app", tenant.app.to_string()),
        ("owner", app.owner),
        ("group", group),
        ("id", others.to_string()),
        ("hex", others.hex()),
        ("slug", tenant.slug.to_string()),
        ("role", Role::new(*others, Access::ReadWrite).to_string()),
        ("reader", Role::new(*others, Access::ReadOnly).to_string()),
        ("database", placement.database.clone()),
        ("schema", placement.schema.clone()),
        ("table", place.table.clone()),
        ("bare", quote_ident(&place.name)),
        ("name", place.name.clone()),
        ("column", place.column.clone()),
        ("word", format!("('{head}' || '{tail}')")),
        ("other", "postgres".to_owned()),
        ("copy", qualified("sindico_copy", &place.name)),
        ("own_id", own.id.to_string()),
        ("own_slug", own.slug.to_string()),
        ("own_key", attacker.secret.clone()),
        ("own_role", Role::new(own.id, Access::ReadWrite).to_string()),
        ("own_hex", own.id.hex()),
        ("own_schema", own.placement.schema.clone()),
        ("mine", mine.to_owned()),
        ("leak", LEAK.to_owned()),
    ] {
        names.set(name, value);
    }
    let schemas = [format!("s_{}", others.hex()), placement.schema.clone()].to_vec();
    if let Some(row) = within.query(SEQUENCE, &[&schemas]).await?.first() {
        names.set("sequence", qualified(row.get(0), row.get(1)));
        names.set("sequence_name", row.get::<_, String>(1));
    }
    if let Some(row) = within.query(PRIMARY_KEY, &[&place.table]).await?.first() {
        let index: String = row.get(0);
        let bare = index.rsplit_once('.').map_or(index.as_str(), |(_, name)| name);
        names.set("pkey", format!("{}.{bare}", quote_ident(&placement.schema)));
    }
    Ok(names)
}

/// What the victim's open session has that is not in a table. Where an isolation does not allow one of them there is none
/// to attack, and a number or name that nobody has stands in for it.
pub(crate) async fn belongings(names: &mut Names, standing: &mut Client, word: &str) -> Result<(), AuditError> {
    for (name, sql, otherwise) in [
        ("pid", "SELECT pg_backend_pid()".to_owned(), "0"),
        ("object", format!("SELECT lo_from_bytea(0, '{word}')"), "1"),
        (
            "temp",
            format!("CREATE TEMP TABLE keepsake AS SELECT '{word}' AS word; SELECT pg_my_temp_schema()::regnamespace"),
            "pg_temp_1",
        ),
    ] {
        let heard = standing.query(&sql).await?;
        names.set(name, if heard.state().is_none() { heard.rows() } else { otherwise.to_owned() });
    }
    // Both are refused in some isolations, which is as good.
    let _refused = standing.query("SELECT pg_advisory_lock(4711)").await?;
    let _refused = standing.query("LISTEN audit_channel").await?;
    Ok(())
}

/// Random hexadecimal digits, two for each byte.
pub(crate) fn random_hex(bytes: usize) -> Result<String, AuditError> {
    let mut random = vec![0; bytes];
    aws_lc_rs::rand::fill(&mut random).map_err(|Unspecified| AuditError::Random)?;
    Ok(HEXLOWER.encode(&random))
}
