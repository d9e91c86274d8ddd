//! A client's first words (PostgreSQL manual, 55.2.1, 55.2.8 to 55.2.10).

use tokio::io::AsyncWriteExt as _;
use wire::backend;
use wire::startup::{self, CancelKey, Opening, Startup};

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

/// Reads until it is clear what a client came for. Requests for encryption are answered "no", each once; a client that
/// needs it leaves then.
pub(crate) async fn open(client: &mut Client) -> Result<Errand, Loss> {
    let (mut asked_ssl, mut asked_gss) = (false, false);
    loop {
        let opening = startup::parse(&client.opening().await?)?;
        let asked = match opening {
            Opening::Session(startup) => return Ok(Errand::Session(startup)),
            Opening::Cancel(key) => return Ok(Errand::Cancel(key)),
            Opening::Ssl => &mut asked_ssl,
            Opening::GssEnc => &mut asked_gss,
        };
        if std::mem::replace(asked, true) {
            return Err(Fault::protocol("the client asks for the same encryption twice").into());
        }
        // Whoever asks for encryption waits for the answer; bytes that are here already were put there by another.
        if !client.held.is_empty() {
            return Err(Fault::protocol("bytes follow a request for encryption before its answer").into());
        }
        client.stream.write_all(&[backend::NO_ENCRYPTION]).await.map_err(|_| Loss::Gone)?;
    }
}
