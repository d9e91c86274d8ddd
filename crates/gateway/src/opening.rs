//! A client's first words (PostgreSQL manual, 55.2.1, 55.2.8 to 55.2.11).

use tokio::io::AsyncWriteExt as _;
use wire::backend;
use wire::startup::{self, CancelKey, Opening, Startup};

use crate::certificates::Certificates;
use crate::client::{Client, Loss};
use crate::fault::Fault;

/// What it came for.
#[derive(Debug)]
pub(crate) enum Errand {
    /// To work.
    Session(Startup),
    /// To interrupt another session.
    Cancel(CancelKey),
}

/// Reads until it is clear what a client came for. A request for TLS is granted where there are `certificates`, other
/// encryption is not to be had; a client that needs it leaves then.
pub(crate) async fn open(client: &mut Client, certificates: Option<&Certificates>) -> Result<Errand, Loss> {
    let (mut asked_ssl, mut asked_gss) = (false, false);
    if let Some(certificates) = certificates
        && client.begins_encrypted().await?
    {
        client.encrypt(certificates.current()).await?;
        if !client.encryption.as_ref().is_some_and(|encryption| encryption.greeting.named_protocol) {
            // As in PostgreSQL: without it, another protocol's client could be led here.
            return Err(Fault::protocol("the client begins with TLS and does not name its protocol by ALPN").into());
        }
        (asked_ssl, asked_gss) = (true, true);
    }
    loop {
        let opening = startup::parse(&client.opening().await?)?;
        let is_ssl = opening == Opening::Ssl;
        let asked = match opening {
            Opening::Session(startup) => return Ok(Errand::Session(startup)),
            Opening::Cancel(key) => return Ok(Errand::Cancel(key)),
            Opening::Ssl => &mut asked_ssl,
            Opening::GssEnc => &mut asked_gss,
        };
        if std::mem::replace(asked, true) {
            return Err(Fault::protocol("the client asks for encryption that it has or was denied").into());
        }
        // Whoever asks for encryption waits for the answer; bytes that are here already were put there by another.
        if !client.held.is_empty() {
            return Err(Fault::protocol("bytes follow a request for encryption before its answer").into());
        }
        let certificate = certificates.filter(|_| is_ssl).map(Certificates::current);
        let answer = if certificate.is_some() { backend::TLS } else { backend::NO_ENCRYPTION };
        client.stream.write_all(&[answer]).await.map_err(|_| Loss::Gone)?;
        if let Some(certificate) = certificate {
            client.encrypt(certificate).await?;
            asked_gss = true;
        }
    }
}
