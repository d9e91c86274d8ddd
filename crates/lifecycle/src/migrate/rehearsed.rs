//! What a rehearsal is good for: the clusters that it was made for, from the versions that their tables had, as long as síndico makes of
//! the files, and sees of tables, what it did.

use catalog::{Cluster, Standing};

use super::Course;
use crate::shape::mark;
use crate::{Lifecycle, LifecycleError, shape};

/// Where a release is tried, as it is written down: the cluster, its major version, and what this síndico makes of the files and sees of
/// tables.
fn place(course: &Course, cluster: &Cluster) -> String {
    format!(
        "{}/{}/{}/{}",
        cluster.id,
        cluster.server_version / 10_000,
        mark::built_from(&course.plan),
        shape::read_by()
    )
}

/// That with the version of the tables there, as it is written down.
pub(super) fn written(course: &Course, (cluster, standing): &(Cluster, Standing)) -> String {
    format!("{}/{}", place(course, cluster), standing.version)
}

impl Lifecycle {
    /// Whether a release has been tried, wherever it is yet to come to. What was tried from an older version has come by the one that is
    /// there now.
    pub(super) async fn is_rehearsed(
        &self,
        course: &Course,
        release: i32,
        stands: &[(Cluster, Standing)],
    ) -> Result<bool, LifecycleError> {
        let known = self.catalog.rehearsed_from(&course.app, release).await?;
        let tried = |(cluster, standing): &(Cluster, Standing)| {
            let mut versions =
                known.iter().filter_map(|it| it.rsplit_once('/')).filter(|(at, _)| *at == place(course, cluster));
            versions.any(|(_, version)| version.parse::<i32>().is_ok_and(|version| version <= standing.version))
        };
        Ok(stands.iter().filter(|(_, standing)| standing.version < course.version()).all(tried) && !known.is_empty())
    }
}
