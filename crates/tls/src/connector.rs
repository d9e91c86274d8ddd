//! The same for sessions of `tokio-postgres`, which opens its sockets itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream as Encrypted;

use crate::trust::server_name;
use crate::{Trust, end_point};

/// Encrypts a driver's connections as far as a [`Trust`] demands it.
#[derive(Debug, Clone)]
pub struct Connector {
    config: Option<Arc<ClientConfig>>,
}

/// The same for one host.
#[derive(Debug)]
pub struct HostConnector {
    /// With the host as certificates name it; nobody asks for that where nothing is encrypted.
    encryption: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// An encrypted connection of the driver's; apart, since it is large and drivers move theirs about.
#[derive(Debug)]
pub struct Channel(Box<Encrypted<Socket>>);

impl From<&Trust> for Connector {
    fn from(trust: &Trust) -> Self {
        Self { config: trust.config().cloned() }
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Channel;
    type TlsConnect = HostConnector;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<HostConnector> {
        let named = |config: &Arc<ClientConfig>| Ok::<_, io::Error>((Arc::clone(config), server_name(host)?));
        Ok(HostConnector { encryption: self.config.as_ref().map(named).transpose()? })
    }
}

impl TlsConnect<Socket> for HostConnector {
    type Stream = Channel;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Channel>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let (config, host) = self.encryption.ok_or(io::ErrorKind::Unsupported)?;
            Ok(Channel(Box::new(TlsConnector::from(config).connect(host, socket).await?)))
        })
    }
}

impl TlsStream for Channel {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let own = session.peer_certificates().and_then(<[_]>::first);
        own.and_then(|own| end_point(own)).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Channel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Channel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
