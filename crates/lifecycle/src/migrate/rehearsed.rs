//! What a rehearsal is good for: the clusters that it was made for, from the versions that their tables had, as long as síndico makes of
//! the files, and sees of tables, what it did.

use catalog::{Cluster, Standing};

use super::Course;
use crate::{Lifecycle, LifecycleError, shape};

/// Where a release is tried, as it is written down: the cluster, its major version, and what this síndico makes of the files and sees of
/// tables.
fn place(course: &Course, cluster: &Cluster) -> Result<String, LifecycleError> {
    let (major, made) = (cluster.server_version / 10_000, course.built_from(course.version())?);
    Ok(format!("{}/{major}/{made}/{}", cluster.id, shape::read_by()))
}

/// That with the version of the tables there, as it is written down.
pub(super) fn written(course: &Course, (cluster, standing): &(Cluster, Standing)) -> Result<String, LifecycleError> {
    Ok(format!("{}/{}", place(course, cluster)?, standing.version))
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
        for (cluster, standing) in stands.iter().filter(|(_, standing)| standing.version < course.version()) {
            let here = place(course, cluster)?;
            let mut versions = known.iter().filter_map(|it| it.rsplit_once('/')).filter(|(at, _)| *at == here);
            if !versions.any(|(_, version)| version.parse::<i32>().is_ok_and(|version| version <= standing.version)) {
                return Ok(false);
            }
        }
        Ok(!known.is_empty())
    }
}
