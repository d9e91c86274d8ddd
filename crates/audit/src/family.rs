//! The list of known ways out of a tenant.

use serde::Serialize;

/// A family of attacks.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Family {
    /// Its row in the list.
    pub number: u8,
    /// What it is about.
    pub name: &'static str,
    /// Why nothing of it can be tried from a tenant's seat, or what tests it instead; empty where attacks stand for it.
    pub elsewhere: &'static str,
}

/// All of them, in order.
pub const FAMILIES: [Family; 35] = [
    family(1, "settings of the tenant", ""),
    family(2, "settings from within functions", ""),
    family(3, "SQL inside strings", ""),
    family(4, "calls without SQL", ""),
    family(5, "transactions that bring settings back", ""),
    family(6, "roles and session authorization", ""),
    family(7, "startup parameters", ""),
    family(8, "changes to the tenant's own role", ""),
    family(9, "other sessions", ""),
    family(10, "large objects", ""),
    family(11, "what sessions leave behind", ""),
    family(12, "advisory locks", ""),
    family(13, "notifications", ""),
    family(14, "encodings and quotes", ""),
    family(15, "protocol out of step", ""),
    family(16, "cancel requests", ""),
    family(17, "bytes before login", ""),
    family(18, "files and programs of the server", ""),
    family(19, "loopback connections", ""),
    family(20, "code that a tenant installs", ""),
    family(21, "views and definers' functions", ""),
    family(22, "privileges beside the policies, and locks", ""),
    family(23, "estimates, counters and sizes", ""),
    family(24, "keys as oracles", ""),
    family(25, "sequences", ""),
    family(26, "names in the catalog", ""),
    family(27, "errors, notices and contexts", ""),
    family(28, "hoarding", ""),
    family(29, "mistaken identity", ""),
    family(30, "HTTP", ""),
    family(31, "object storage", "there is no object storage yet"),
    family(32, "hostile servers", "tests of the gateway and the pool play the server; a tenant cannot"),
    family(33, "time of check", "tests of creations and deletions run them against each other"),
    family(34, "settings that change how SQL is read", ""),
    family(35, "caches", ""),
];

const fn family(number: u8, name: &'static str, elsewhere: &'static str) -> Family {
    Family { number, name, elsewhere }
}
