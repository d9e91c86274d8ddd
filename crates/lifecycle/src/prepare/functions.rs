//! The functions in schema `sindico`: what tenants' sessions and the app's own DDL call in every database of an app.
//!
//! Their texts stand in `sql/`. Each names whatever it uses with its schema, so that no caller's `search_path` bends
//! it, and may be called by the app's groups alone. Those that may do more than their caller (SECURITY DEFINER)
//! belong to a role that can do nothing else.

use catalog::TokenKey;
use domain::{SharedNames, quote_ident, quote_literal};

use super::Kind;

/// Who may call a function.
#[derive(Clone, Copy)]
enum Callers {
    /// Every group, and the app's owner, whose defaults name it.
    All,
    /// The groups of tenants that share tables or a database, read-only ones included.
    Sessions,
    /// Whoever may write to shared tables.
    Writers,
    /// The dense login.
    Dense,
}

/// A function, or several that belong together.
struct Function {
    /// As GRANT names it.
    signature: &'static str,
    text: &'static str,
    /// Runs with the rights of the role that can do nothing else.
    definer: bool,
    callers: Callers,
}

const SHARED: [Function; 8] = [
    Function {
        signature: "FUNCTION sindico.enter(text, boolean)",
        text: include_str!("sql/enter.sql"),
        definer: true,
        callers: Callers::Dense,
    },
    CURRENT_TENANT,
    Function {
        signature: "FUNCTION sindico.next_value(text)",
        text: include_str!("sql/next_value.sql"),
        definer: true,
        callers: Callers::Writers,
    },
    Function {
        signature: "FUNCTION sindico.restart_sequence(text)",
        text: include_str!("sql/restart_sequence.sql"),
        definer: true,
        callers: Callers::Writers,
    },
    Function {
        signature: "PROCEDURE sindico.truncate(text[], boolean, boolean)",
        text: include_str!("sql/truncate.sql"),
        definer: false,
        callers: Callers::Writers,
    },
    Function {
        signature: "FUNCTION sindico.notify(text, text)",
        text: include_str!("sql/notify.sql"),
        definer: true,
        callers: Callers::Sessions,
    },
    LOADING,
    REFUSE,
];

const OWN: [Function; 4] = [
    CURRENT_TENANT,
    Function {
        signature: "FUNCTION sindico.notify(text, text)",
        text: include_str!("sql/notify_plain.sql"),
        definer: false,
        callers: Callers::Sessions,
    },
    LOADING,
    REFUSE,
];

const CURRENT_TENANT: Function = Function {
    signature: "FUNCTION sindico.current_tenant()",
    text: include_str!("sql/current_tenant.sql"),
    definer: false,
    callers: Callers::All,
};

const REFUSE: Function = Function {
    signature: "FUNCTION sindico.refuse(text, text, text)",
    text: include_str!("sql/refuse.sql"),
    definer: false,
    callers: Callers::Sessions,
};

/// Asked by the app's triggers, which cascades fire as the owner of the tables.
const LOADING: Function = Function {
    signature: "FUNCTION sindico.loading(integer)",
    text: include_str!("sql/loading.sql"),
    definer: false,
    callers: Callers::All,
};

/// Makes the functions, as a superuser, in schema `sindico`.
pub(super) fn create(names: &SharedNames, kind: Kind) -> String {
    let functions = match kind {
        Kind::Shared => SHARED.as_slice(),
        Kind::Template => OWN.as_slice(),
    };
    let tenant = tenant(names, kind);
    let mut sql = String::new();
    for Function { signature, text, definer, callers } in functions {
        sql.push_str(&text.replace("{tenant}", &tenant).replace("{token_life}", &TokenKey::LIFE.to_string()));
        if *definer {
            sql.push_str(&format!("ALTER {signature} OWNER TO {};", quote_ident(&names.definer)));
        }
        sql.push_str(&format!("REVOKE ALL ON {signature} FROM PUBLIC;"));
        let callers = roles(names, kind, *callers).join(", ");
        if !callers.is_empty() {
            sql.push_str(&format!("GRANT EXECUTE ON {signature} TO {callers};"));
        }
    }
    if kind == Kind::Shared {
        sql.push_str(include_str!("sql/loading_apart.sql"));
    }
    sql
}

/// The id of the tenant that a session works for, in hexadecimal, or NULL: from the login's own name, or from the one that
/// the login of many has been given. What the functions share is written out in each, since a call costs more than the
/// answer.
fn tenant(names: &SharedNames, kind: Kind) -> String {
    // Roles of this length that begin so are made by síndico only, with the tenant's id as the rest.
    let own = "pg_catalog.length(session_user::pg_catalog.text) OPERATOR(pg_catalog.=) 34
            AND pg_catalog.left(session_user::pg_catalog.text, 2) OPERATOR(pg_catalog.=) ANY ('{t_,r_}'::pg_catalog.text[])
        THEN pg_catalog.substr(session_user::pg_catalog.text, 3)";
    let served = "pg_catalog.current_setting('backtrace_functions')";
    match kind {
        Kind::Template => format!("CASE WHEN {own} END"),
        Kind::Shared => format!(
            "CASE WHEN session_user OPERATOR(pg_catalog.<>) {} THEN CASE WHEN {own} END
            WHEN {served} OPERATOR(pg_catalog.<>) '' THEN pg_catalog.substr({served}, 3) END",
            quote_literal(&names.dense)
        ),
    }
}

fn roles(names: &SharedNames, kind: Kind, callers: Callers) -> Vec<String> {
    let roles: &[&String] = match (kind, callers) {
        (Kind::Shared, Callers::All) => {
            &[&names.owner, &names.definer, &names.shared_rw, &names.shared_ro, &names.schema_group]
        }
        (Kind::Shared, Callers::Sessions) => &[&names.shared_rw, &names.shared_ro, &names.schema_group],
        (Kind::Shared, Callers::Writers) => &[&names.shared_rw],
        (Kind::Shared, Callers::Dense) => &[&names.dense],
        (Kind::Template, Callers::All) => &[&names.owner, &names.own_rw, &names.own_ro],
        (Kind::Template, Callers::Sessions) => &[&names.own_rw, &names.own_ro],
        (Kind::Template, Callers::Writers) => &[&names.own_rw],
        (Kind::Template, Callers::Dense) => &[],
    };
    roles.iter().map(|role| quote_ident(role)).collect()
}
