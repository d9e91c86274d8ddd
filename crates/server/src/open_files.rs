//! How many files this process may have open, each connection being one.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use tracing::{info, warn};

/// Raises the soft limit to the hard one (getrlimit(2)). The usual 1,024 is a kindness to programs that use select(2), which
/// nothing here does. Says what came of it, and whether `needed` is more.
pub(crate) fn raise(needed: usize) {
    match raised() {
        Ok(limit) if usize::try_from(limit).is_ok_and(|limit| limit < needed) => warn!(
            limit,
            needed,
            "not enough files for all the clients and server connections that are configured; raise the hard limit, with \
             `ulimit -Hn` or systemd's LimitNOFILE"
        ),
        Ok(limit) => info!(limit, "open files"),
        Err(error) => warn!(%error, "the limit of open files stays as it was; raise it before síndico starts"),
    }
}

fn raised() -> Result<rlim_t, Errno> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let limit = raised().expect("a limit");
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).expect("limits"), (limit, limit));
    }
}
