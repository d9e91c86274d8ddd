//! Where objects are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::ObjectError;

/// What an S3 bucket is reached by. What is not given is taken from the environment, as AWS's own tools do (`AWS_ACCESS_KEY_ID` …).
#[derive(Debug, Clone, Default)]
pub struct S3Settings {
    /// For servers that are not AWS's: `http://127.0.0.1:9000`.
    pub endpoint: Option<String>,
    /// The bucket's region.
    pub region: Option<String>,
    /// Who asks.
    pub access_key_id: Option<String>,
    /// The secret that goes with it.
    pub secret_access_key: Option<Secret>,
}

/// A text that is not shown.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a store is.
#[derive(Debug, Clone)]
pub enum StorePlace {
    /// A folder of this machine, which is made if it is not there.
    Folder(PathBuf),
    /// A bucket, and what its objects' names begin with.
    Bucket {
        /// Its name.
        bucket: String,
        /// May be empty.
        prefix: String,
        /// How it is reached.
        settings: S3Settings,
    },
}

/// A store of objects. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<dyn ObjectStore>,
    place: Arc<str>,
}

impl Store {
    /// Opens a store. Whether it answers is not tried.
    pub fn open(place: &StorePlace) -> Result<Self, ObjectError> {
        match place {
            StorePlace::Folder(folder) => {
                let bad = |why: String| ObjectError::BadPlace(format!("the folder {}: {why}", folder.display()));
                std::fs::create_dir_all(folder).map_err(|error| bad(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| bad(error.to_string()))?;
                // Folders that become empty are removed with their last object, and files are on disk before they count.
                let store = store.with_automatic_cleanup(true).with_fsync(true);
                Ok(Self { inner: Arc::new(store), place: format!("file://{}", folder.display()).into() })
            }
            StorePlace::Bucket { bucket, prefix, settings } => {
                let S3Settings { endpoint, region, access_key_id, secret_access_key } = settings;
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
                }
                if let Some(region) = region {
                    builder = builder.with_region(region);
                }
                if let Some(id) = access_key_id {
                    builder = builder.with_access_key_id(id);
                }
                if let Some(Secret(secret)) = secret_access_key {
                    builder = builder.with_secret_access_key(secret);
                }
                let bad = |error| ObjectError::BadPlace(format!("the bucket {bucket}: {error}"));
                let store = builder.build().map_err(bad)?;
                let place = format!("s3://{bucket}/{prefix}").trim_end_matches('/').into();
                if prefix.is_empty() {
                    return Ok(Self { inner: Arc::new(store), place });
                }
                Ok(Self { inner: Arc::new(PrefixStore::new(store, prefix.as_str())), place })
            }
        }
    }

    /// What people call it; without secrets.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Writes a small object at once.
    pub async fn put(&self, object: &str, content: Vec<u8>) -> Result<(), ObjectError> {
        let put = self.inner.put(&Path::from(object), content.into()).await;
        put.map(drop).map_err(|error| ObjectError::store(object, error))
    }

    /// Reads a small object at once.
    pub async fn get(&self, object: &str) -> Result<Bytes, ObjectError> {
        let read = async { self.inner.get(&Path::from(object)).await?.bytes().await };
        read.await.map_err(|error| ObjectError::store(object, error))
    }

    /// Removes every object whose name begins with these folders. Without any it does nothing.
    pub async fn remove_all(&self, folder: &str) -> Result<(), ObjectError> {
        let place = Path::from(folder);
        let found = self.inner.list(Some(&place)).map_ok(|meta| meta.location).boxed();
        let mut removed = self.inner.delete_stream(found);
        while let Some(gone) = removed.next().await {
            match gone {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(ObjectError::store(folder, error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_keeps_and_removes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&StorePlace::Folder(folder.path().join("new"))).expect("a store");
        store.put("a/b/one", b"1".to_vec()).await.expect("put");
        store.put("a/b/two", b"2".to_vec()).await.expect("put");
        store.put("a/bc", b"3".to_vec()).await.expect("put");
        assert_eq!(store.get("a/b/two").await.expect("got"), "2");
        store.remove_all("a/b").await.expect("removed");
        store.remove_all("a/b").await.expect("nothing to remove");
        assert!(matches!(store.get("a/b/one").await, Err(ObjectError::Missing(_))));
        assert_eq!(store.get("a/bc").await.expect("another's"), "3");
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = S3Settings { secret_access_key: Some(Secret("hush".to_owned())), ..S3Settings::default() };
        let place = StorePlace::Bucket { bucket: "b".to_owned(), prefix: String::new(), settings };
        assert!(!format!("{place:?}").contains("hush"));
    }
}
