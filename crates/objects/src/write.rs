//! Writing an object piece by piece.

use std::io::{self, Write};

use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::seal::Sealer;
use crate::{ObjectError, ObjectKey, Store, WAITING};

/// An S3 upload has 10,000 parts at most: objects of 80 GB.
const PART: usize = 8 << 20;
/// Sealed bytes that are handed on at a time.
const HANDED: usize = 512 << 10;
/// More costs processor time that clients need, and saves little.
const LEVEL: i32 = 3;

/// An object that is being written. Dropped before [`ObjectWriter::finish`], there is none.
#[derive(Debug)]
pub struct ObjectWriter {
    object: String,
    /// To the thread that seals.
    plain: Sender<Piece>,
    sealing: JoinHandle<Result<(), ObjectError>>,
    uploading: JoinHandle<Result<u64, ObjectError>>,
}

/// Without its end, an object is given up: whoever wrote has gone.
enum Piece {
    Bytes(Bytes),
    End,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes in the store.
    pub stored: u64,
}

impl Store {
    /// Begins an object that is compressed and sealed.
    #[must_use]
    pub fn write(&self, object: &str, key: &ObjectKey) -> ObjectWriter {
        let (plain, given) = channel(WAITING);
        let (sealed, ready) = channel(WAITING);
        let (name, key) = (object.to_owned(), key.clone());
        let sealing = tokio::task::spawn_blocking(move || seal(given, sealed, &key, &name));
        let upload = BufWriter::with_capacity(self.inner.clone(), Path::from(object), PART).with_max_concurrency(2);
        let uploading = tokio::spawn(upload_all(upload, ready, object.to_owned()));
        ObjectWriter { object: object.to_owned(), plain, sealing, uploading }
    }
}

impl ObjectWriter {
    /// Adds bytes.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectError> {
        self.give(Piece::Bytes(bytes)).await
    }

    /// The object is there, whole, when this returns.
    pub async fn finish(mut self) -> Result<Written, ObjectError> {
        self.give(Piece::End).await?;
        let Self { object, plain: _, sealing, uploading } = self;
        let cut_off = |_| ObjectError::CutOff(object.clone());
        // Who cannot upload any more takes no more from the other, so this is the cause.
        let stored = uploading.await.map_err(cut_off)??;
        sealing.await.map_err(cut_off)??;
        Ok(Written { stored })
    }

    async fn give(&mut self, piece: Piece) -> Result<(), ObjectError> {
        if self.plain.send(piece).await.is_ok() {
            return Ok(());
        }
        match (&mut self.uploading).await {
            Ok(Err(error)) => Err(error),
            _ => Err(ObjectError::CutOff(self.object.clone())),
        }
    }
}

/// Passes sealed bytes on.
struct Hand {
    to: Sender<Piece>,
    bytes: Vec<u8>,
}

impl Hand {
    fn pass(&mut self) -> io::Result<()> {
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        self.to.blocking_send(Piece::Bytes(bytes)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

impl Write for Hand {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() >= HANDED {
            self.pass()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn seal(mut given: Receiver<Piece>, to: Sender<Piece>, key: &ObjectKey, object: &str) -> Result<(), ObjectError> {
    let sealer = Sealer::new(Hand { to, bytes: Vec::with_capacity(HANDED) }, key, object)?;
    let write = || -> io::Result<()> {
        let mut encoder = zstd::Encoder::new(sealer, LEVEL)?;
        loop {
            match given.blocking_recv() {
                Some(Piece::Bytes(bytes)) => encoder.write_all(&bytes)?,
                Some(Piece::End) => break,
                None => return Err(io::Error::from(io::ErrorKind::Interrupted)),
            }
        }
        let mut hand = encoder.finish()?.finish()?;
        hand.pass()?;
        hand.to.blocking_send(Piece::End).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    };
    write().map_err(|_| ObjectError::CutOff(object.to_owned()))
}

async fn upload_all(mut upload: BufWriter, mut ready: Receiver<Piece>, object: String) -> Result<u64, ObjectError> {
    let fault = |error: io::Error| ObjectError::Store { object: object.clone(), reason: error.to_string() };
    let mut stored = 0;
    loop {
        match ready.recv().await {
            Some(Piece::Bytes(bytes)) => {
                stored += u64::try_from(bytes.len()).unwrap_or(0);
                if let Err(error) = upload.write_all(&bytes).await {
                    let _gone = upload.abort().await;
                    return Err(fault(error));
                }
            }
            Some(Piece::End) => {
                upload.shutdown().await.map_err(fault)?;
                return Ok(stored);
            }
            None => {
                let _gone = upload.abort().await;
                return Err(ObjectError::CutOff(object));
            }
        }
    }
}
