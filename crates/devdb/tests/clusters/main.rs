//! Clusters as their users see them, on a real PostgreSQL. Every test has a directory of its own and leaves nothing
//! behind, neither files nor processes.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod place;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod takeover;
