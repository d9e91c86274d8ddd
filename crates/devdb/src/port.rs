//! Which port a server listens on.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
};

/// How a cluster's port is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortChoice {
    /// The port of the previous run when it is free, else any free one.
    Any,
    /// This one, or an error.
    Fixed(u16),
}

/// Finds out whether a server could listen on this port now.
///
/// Somebody may take it before the server does; that shows when the server starts.
pub(crate) fn probe(port: u16) -> io::Result<()> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(|_| ())
}

/// A port that is free now.
pub(crate) fn any_free() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::{any_free, probe};

    #[test]
    fn a_port_is_free_until_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = probe(listener.local_addr().unwrap().port()).unwrap_err();
        assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
        assert_ne!(any_free().unwrap(), 0);
    }
}
