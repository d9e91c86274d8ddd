//! Where a server answers: at an address, or at a socket on this machine.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

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

    /// Whether it is one of this machine's to itself.
    #[must_use]
    pub fn is_here(&self) -> bool {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
            Self::Local(_) => true,
        }
    }

    /// Connects.
    pub async fn connect(&self) -> io::Result<Socket> {
        Ok(match self {
            Self::Tcp(address) => Socket::Tcp(TcpStream::connect(address).await?),
            Self::Local(path) => Socket::Local(local(path).await?),
        })
    }
}

/// A server that has too many on their way in has others wait over TCP, and turns them away at a Unix socket (Linux, unix(7)).
/// Waits as long as the caller does.
async fn local(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(AGAIN).await,
            connected => return connected,
        }
    }
}

/// Before another try.
const AGAIN: Duration = Duration::from_millis(5);

/// Whether a connection string's host is the folder of a socket.
#[must_use]
pub fn is_folder(host: &str) -> bool {
    host.starts_with('/')
}
