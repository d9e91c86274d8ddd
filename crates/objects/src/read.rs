//! Reading an object piece by piece.

use std::io::{self, Read};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

use crate::seal::Opener;
use crate::{ObjectError, ObjectKey, Store, WAITING};

/// Bytes that are given at a time.
const PIECE: usize = 256 << 10;

/// An object that is being read. Its end has been reached, and the object is whole, when [`ObjectReader::next`] gives nothing more.
#[derive(Debug)]
pub struct ObjectReader {
    plain: Receiver<Result<Bytes, ObjectError>>,
    downloading: JoinHandle<()>,
}

impl Store {
    /// Begins to read an object that [`Store::write`] wrote.
    pub async fn read(&self, object: &str, key: &ObjectKey) -> Result<ObjectReader, ObjectError> {
        let got = self.inner.get(&Path::from(object)).await.map_err(|error| ObjectError::store(object, error))?;
        let (sealed, ready) = channel(WAITING);
        let (opened, plain) = channel(WAITING);
        let (name, key) = (object.to_owned(), key.clone());
        let downloading = tokio::spawn(download(got.into_stream(), sealed));
        tokio::task::spawn_blocking(move || open(ready, &opened, &key, &name));
        Ok(ObjectReader { plain, downloading })
    }
}

impl ObjectReader {
    /// The next bytes.
    pub async fn next(&mut self) -> Option<Result<Bytes, ObjectError>> {
        self.plain.recv().await
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        self.downloading.abort();
    }
}

type Piece = Result<Bytes, object_store::Error>;

async fn download(mut stream: impl Stream<Item = Piece> + Unpin, to: Sender<Piece>) {
    while let Some(piece) = stream.next().await {
        if to.send(piece).await.is_err() {
            return;
        }
    }
}

/// Reads what is downloaded.
struct Download {
    from: Receiver<Piece>,
    piece: Bytes,
    /// Why there is no more of it, if it should have gone on.
    failed: Option<object_store::Error>,
}

impl Read for Download {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => {
                    self.failed = Some(error);
                    return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                }
                None => return Ok(0),
            }
        }
        let taken = self.piece.split_to(self.piece.len().min(into.len()));
        into.iter_mut().zip(&taken).for_each(|(to, from)| *to = *from);
        Ok(taken.len())
    }
}

fn open(ready: Receiver<Piece>, to: &Sender<Result<Bytes, ObjectError>>, key: &ObjectKey, object: &str) {
    let mut download = Download { from: ready, piece: Bytes::new(), failed: None };
    if let Err(error) = pass(&mut download, to, key, object) {
        let error = match download.failed {
            Some(failed) => ObjectError::store(object, failed),
            None => ObjectError::damaged(object, &error),
        };
        let _nobody_reads = to.blocking_send(Err(error));
    }
}

fn pass(
    download: &mut Download,
    to: &Sender<Result<Bytes, ObjectError>>,
    key: &ObjectKey,
    object: &str,
) -> io::Result<()> {
    let mut decoder = zstd::Decoder::new(Opener::new(download, key, object)?)?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        decoder.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
        if piece.is_empty() {
            return Ok(());
        }
        if to.blocking_send(Ok(Bytes::from(piece))).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorePlace;

    const KEY: ObjectKey = ObjectKey::new([7; 32]);

    async fn whole(store: &Store, object: &str) -> Result<Vec<u8>, ObjectError> {
        let (mut reader, mut bytes) = (store.read(object, &KEY).await?, Vec::new());
        while let Some(piece) = reader.next().await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }

    #[tokio::test]
    async fn what_is_written_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&StorePlace::Folder(folder.path().to_owned())).expect("a store");
        for pieces in [0_usize, 1, 100] {
            let mut writer = store.write("a/x", &KEY);
            let piece: Vec<u8> = (0..100_000_usize).map(|at| u8::try_from(at * at % 256).expect("a byte")).collect();
            for _ in 0..pieces {
                writer.write(Bytes::from(piece.clone())).await.expect("written");
            }
            let written = writer.finish().await.expect("finished");
            let stored = std::fs::metadata(folder.path().join("a/x")).expect("a file").len();
            assert_eq!(written.stored, stored);
            assert_eq!(whole(&store, "a/x").await.expect("read"), piece.repeat(pieces));
        }
    }

    #[tokio::test]
    async fn what_is_given_up_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&StorePlace::Folder(folder.path().to_owned())).expect("a store");
        let mut writer = store.write("a/x", &KEY);
        writer.write(Bytes::from_static(b"a")).await.expect("written");
        drop(writer);
        assert!(matches!(whole(&store, "a/x").await, Err(ObjectError::Missing(_))));
    }

    #[tokio::test]
    async fn what_is_cut_off_or_changed_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&StorePlace::Folder(folder.path().to_owned())).expect("a store");
        let mut writer = store.write("x", &KEY);
        writer.write(Bytes::from(vec![5; 1000])).await.expect("written");
        writer.finish().await.expect("finished");
        let path = folder.path().join("x");
        let bytes = std::fs::read(&path).expect("read");
        for changed in [&bytes[..bytes.len() - 1], &bytes[..20], &bytes[..0], &[&bytes[..], &[0]].concat()] {
            std::fs::write(&path, changed).expect("written");
            let error = whole(&store, "x").await.expect_err("damaged").to_string();
            assert!(error.contains("object x is damaged"), "{error}");
        }
    }
}
