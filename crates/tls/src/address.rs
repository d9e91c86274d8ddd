//! Where a server answers: at an address, or at a socket on this machine.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::{TcpStream, UnixStream};

/// One server's, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// A Unix socket.
    Local(PathBuf),
}

/// A connection on which nothing has been said.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// A Unix socket.
    Local(UnixStream),
}

impl Address {
    /// Connects to a host: a name, an address, or, as libpq has it, the folder of a server's socket, from the root on
    /// (PostgreSQL manual, 34.1.2). Gives what it was found to be, too, so that others may go to the very same.
    pub async fn find(host: &str, port: u16) -> io::Result<(Self, Socket)> {
        if is_folder(host) {
            let address = Self::Local(Path::new(host).join(format!(".s.PGSQL.{port}")));
            let socket = address.connect().await?;
            return Ok((address, socket));
        }
        let socket = TcpStream::connect((host, port)).await?;
        Ok((Self::Tcp(socket.peer_addr()?), Socket::Tcp(socket)))
    }

    /// Connects.
    pub async fn connect(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await?),
            Self::Local(path) => Socket::Local(UnixStream::connect(path).await?),
        })
    }
}

/// Whether a connection string's host is the folder of a socket.
#[must_use]
pub fn is_folder(host: &str) -> bool {
    host.starts_with('/')
}
