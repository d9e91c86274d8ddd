//! Ports: the one asked for, or the next free one.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, anyhow};
use tokio::net::TcpListener;

/// How many ports after the preferred one are tried.
const TRIES: u16 = 200;

/// Listens on 127.0.0.1. A port that was asked for is taken or it is an error; a preferred one may move on.
pub(crate) async fn listen(what: &str, asked: Option<u16>, preferred: u16) -> anyhow::Result<TcpListener> {
    if let Some(port) = asked {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("port {port} for the {what} cannot be used; give another, or 0 for any"));
    }
    for port in preferred..preferred.saturating_add(TRIES) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("cannot listen for the {what}")),
        }
    }
    Err(anyhow!("no port from {preferred} to {} is free for the {what}", preferred.saturating_add(TRIES)))
}

/// Where a listener listens.
pub(crate) fn address(listener: &TcpListener) -> anyhow::Result<SocketAddr> {
    listener.local_addr().context("a listening socket has no address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_preferred_port_moves_on_and_an_asked_one_does_not() {
        let first = listen("test", Some(0), 0).await.expect("any port");
        let port = address(&first).expect("bound").port();
        let second = listen("test", None, port).await.expect("the next port");
        assert!(address(&second).expect("bound").port() > port);
        let error = listen("test", Some(port), port).await.expect_err("taken");
        assert!(format!("{error:#}").contains(&port.to_string()), "{error:#}");
    }
}
