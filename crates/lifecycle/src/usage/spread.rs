//! Which part of a table that tenants share is a tenant's, by what PostgreSQL knows of the column that names them.
//!
//! `pg_stats` has, as of the last ANALYZE, the most common tenants with the part of the rows that is theirs, and how many tenants there
//! are in all (<https://www.postgresql.org/docs/current/view-pg-stats.html>). The rest of the rows belongs to the others, and nobody
//! knows who has how many: each is given as much.

use std::collections::{HashMap, HashSet};

use domain::TenantId;
use uuid::Uuid;

/// How the rows of a table are spread over tenants.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    common: HashMap<Uuid, f64>,
    /// The part of each tenant that is not among the most common.
    each_other: f64,
}

/// The statistics of a column, as `pg_stats` has them.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// As a count, or, below zero, as a part of the rows.
    pub(crate) distinct: f64,
    pub(crate) common: Vec<Uuid>,
    pub(crate) parts: Vec<f32>,
}

impl Spread {
    /// Among the tenants that there are, of a table with so many rows.
    pub(crate) fn new(statistics: &Statistics, rows: f64, tenants: &HashSet<TenantId>) -> Self {
        let Statistics { distinct, common, parts } = statistics;
        let common: HashMap<Uuid, f64> =
            common.iter().copied().zip(parts.iter().map(|part| f64::from(*part))).collect();
        let others = tenants.iter().filter(|tenant| !common.contains_key(&tenant.as_uuid())).count();
        let distinct = if *distinct < 0.0 { -distinct * rows } else { *distinct };
        // Half a tenant is none: the count is a number of the sampling, too.
        let complete = distinct < number(common.len()) + 0.5;
        let rest = if complete || others == 0 { 0.0 } else { (1.0 - common.values().sum::<f64>()).max(0.0) };
        Self { common, each_other: if others == 0 { 0.0 } else { rest / number(others) } }
    }

    /// A tenant's part, from 0 to 1.
    pub(crate) fn part(&self, tenant: TenantId) -> f64 {
        self.common.get(&tenant.as_uuid()).copied().unwrap_or(self.each_other)
    }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(nth: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(nth))
    }

    fn tenants(count: u128) -> HashSet<TenantId> {
        (1..=count).map(tenant).collect()
    }

    fn statistics(distinct: f64, common: &[(u128, f32)]) -> Statistics {
        let (common, parts) = common.iter().map(|(nth, part)| (Uuid::from_u128(*nth), *part)).unzip();
        Statistics { distinct, common, parts }
    }

    fn near(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-6, "{got}, not {expected}");
    }

    #[test]
    fn whoever_is_common_has_its_part_and_nobody_else_has_any_when_all_are() {
        let spread = Spread::new(&statistics(2.0, &[(1, 0.75), (2, 0.25)]), 1000.0, &tenants(3));
        near(spread.part(tenant(1)), 0.75);
        near(spread.part(tenant(2)), 0.25);
        near(spread.part(tenant(3)), 0.0);
    }

    #[test]
    fn the_rest_is_shared_by_those_who_are_not_common_and_all_is_given_away_once() {
        let spread = Spread::new(&statistics(10.0, &[(1, 0.5), (2, 0.1)]), 1000.0, &tenants(10));
        near(spread.part(tenant(7)), 0.05);
        near((1..=10).map(|nth| spread.part(tenant(nth))).sum(), 1.0);
    }

    #[test]
    fn a_count_below_zero_is_a_part_of_the_rows() {
        // Every tenant has one row, so none is common.
        let spread = Spread::new(&statistics(-1.0, &[]), 4.0, &tenants(4));
        near(spread.part(tenant(1)), 0.25);
        let spread = Spread::new(&statistics(-0.5, &[(1, 0.5), (2, 0.5)]), 4.0, &tenants(3));
        near(spread.part(tenant(3)), 0.0);
    }

    #[test]
    fn tenants_that_are_no_more_take_their_part_with_them() {
        let spread = Spread::new(&statistics(2.0, &[(1, 0.9), (99, 0.1)]), 1000.0, &tenants(1));
        near(spread.part(tenant(1)), 0.9);
        let spread = Spread::new(&statistics(50.0, &[(1, 0.9)]), 1000.0, &tenants(1));
        near(spread.part(tenant(1)), 0.9);
    }
}
