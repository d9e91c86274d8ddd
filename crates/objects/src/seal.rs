//! Encryption of a stream: AES-256-GCM in chunks, each numbered, the last marked.
//!
//! The construction is STREAM (Hoang, Reyhanitabar, Rogaway and Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", 2015): with the chunk's number and the mark of the last in its nonce, chunks can be neither left out, exchanged,
//! repeated nor cut off at the end without being noticed. The key is derived for each object from its name and a salt, so that no
//! two objects, and no two attempts at one, have one key.
//!
//! An object is `SNDC`, a format byte, 32 bytes of salt, and chunks: 4 bytes of length (big-endian, the highest bit set in the last),
//! ciphertext and tag.

use std::fmt;
use std::io::{self, Read, Write};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;

use crate::ObjectError;

const MAGIC: &[u8; 5] = b"SNDC\x01";
const SALT: usize = 32;
/// Bytes in a chunk before it is sealed.
const CHUNK: usize = 256 * 1024;
const TAG: usize = 16;
const LAST: u32 = 1 << 31;

/// What objects of one owner are sealed with.
#[derive(Clone)]
pub struct ObjectKey([u8; 32]);

impl fmt::Debug for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ObjectKey(…)")
    }
}

impl ObjectKey {
    /// Of secret bytes.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// Proves that a text was written by who has the key.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        hmac::sign(&self.signing(), text).as_ref().to_vec()
    }

    /// Whether that is its proof.
    #[must_use]
    pub fn has_signed(&self, text: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.signing(), text, proof).is_ok()
    }

    fn signing(&self) -> hmac::Key {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), b"sindico signature");
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    }

    fn of_object(&self, object: &str, salt: &[u8; SALT]) -> Result<LessSafeKey, Unspecified> {
        let mut of = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        of.update(b"sindico object");
        of.update(salt);
        of.update(object.as_bytes());
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, of.sign().as_ref())?))
    }
}

/// Seals what is written to it.
pub(crate) struct Sealer<W> {
    to: W,
    key: LessSafeKey,
    number: u64,
    plain: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    pub(crate) fn new(mut to: W, key: &ObjectKey, object: &str) -> Result<Self, ObjectError> {
        let mut salt = [0; SALT];
        aws_lc_rs::rand::fill(&mut salt).map_err(|Unspecified| ObjectError::Random)?;
        let key = key.of_object(object, &salt).map_err(|Unspecified| ObjectError::Random)?;
        let head = to.write_all(MAGIC).and_then(|()| to.write_all(&salt));
        head.map_err(|error| ObjectError::damaged(object, &error))?;
        Ok(Self { to, key, number: 0, plain: Vec::with_capacity(CHUNK + TAG) })
    }

    /// Writes what is left, as the last chunk.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.chunk(true)?;
        Ok(self.to)
    }

    fn chunk(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.number, last);
        self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.plain).map_err(|Unspecified| refused())?;
        let length = u32::try_from(self.plain.len()).map_err(|_| refused())?;
        self.to.write_all(&(length | if last { LAST } else { 0 }).to_be_bytes())?;
        self.to.write_all(&self.plain)?;
        self.plain.clear();
        self.number += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits for more: it might be the last.
        if self.plain.len() == CHUNK {
            self.chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.plain.len());
        self.plain.extend(bytes.iter().take(taken));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens what a [`Sealer`] wrote.
pub(crate) struct Opener<R> {
    from: R,
    key: LessSafeKey,
    number: u64,
    plain: Vec<u8>,
    /// How much of it has been read.
    read: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    pub(crate) fn new(mut from: R, key: &ObjectKey, object: &str) -> io::Result<Self> {
        let mut head = [0; MAGIC.len()];
        from.read_exact(&mut head)?;
        if head != *MAGIC {
            return Err(io::Error::other("it is no object of síndico's, or of a newer one"));
        }
        let mut salt = [0; SALT];
        from.read_exact(&mut salt)?;
        let key = key.of_object(object, &salt).map_err(|Unspecified| refused())?;
        Ok(Self { from, key, number: 0, plain: Vec::new(), read: 0, ended: false })
    }

    fn chunk(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        let last = length & LAST != 0;
        let size = usize::try_from(length & !LAST).unwrap_or(usize::MAX);
        if !(TAG..=CHUNK + TAG).contains(&size) {
            return Err(io::Error::other("a chunk has no size that it could have"));
        }
        self.plain.resize(size, 0);
        self.from.read_exact(&mut self.plain)?;
        let opened = self.key.open_in_place(nonce(self.number, last), Aad::empty(), &mut self.plain);
        let size = opened.map_err(|Unspecified| io::Error::other("a chunk does not open"))?.len();
        self.plain.truncate(size);
        self.read = 0;
        self.number += 1;
        self.ended = last;
        if last && self.from.read(&mut [0])? != 0 {
            return Err(io::Error::other("something follows its end"));
        }
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.plain.len() && !self.ended {
            self.chunk()?;
        }
        let rest = self.plain.get(self.read..).unwrap_or_default();
        let taken = rest.len().min(into.len());
        into.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.read += taken;
        Ok(taken)
    }
}

/// Unique for a key: it numbers the chunks of the one object that the key is for.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    bytes[NONCE_LEN - 1] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

fn refused() -> io::Error {
    io::Error::other("AES-256-GCM refuses it")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: ObjectKey = ObjectKey::new([7; 32]);

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), &KEY, "a/b").expect("a sealer");
        sealer.write_all(plain).expect("written");
        sealer.finish().expect("finished")
    }

    fn opened(sealed: &[u8], key: &ObjectKey, object: &str) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        Opener::new(sealed, key, object)?.read_to_end(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn any_length_survives() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let plain: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
            assert_eq!(opened(&sealed(&plain), &KEY, "a/b").expect("opened"), plain, "{length}");
        }
    }

    #[test]
    fn nothing_else_opens() {
        let whole = sealed(&vec![3; 2 * CHUNK + 5]);
        opened(&whole, &ObjectKey::new([8; 32]), "a/b").expect_err("another key");
        opened(&whole, &KEY, "a/c").expect_err("another object's name");
        assert_ne!(whole, sealed(&vec![3; 2 * CHUNK + 5]), "the same twice");
        let (head, size) = (MAGIC.len() + SALT, 4 + CHUNK + TAG);
        let chunk = |nth: usize| &whole[head + nth * size..(head + (nth + 1) * size).min(whole.len())];
        let made = |chunks: &[&[u8]]| [&whole[..head], &chunks.concat()].concat();
        assert!(opened(&made(&[chunk(0), chunk(1), chunk(2)]), &KEY, "a/b").is_ok(), "just as it was");
        for (what, bytes) in [
            ("exchanged", made(&[chunk(1), chunk(0), chunk(2)])),
            ("left out", made(&[chunk(0), chunk(2)])),
            ("repeated", made(&[chunk(0), chunk(0), chunk(1), chunk(2)])),
            ("cut off", made(&[chunk(0), chunk(1)])),
            ("longer", made(&[chunk(0), chunk(1), chunk(2), &[0]])),
        ] {
            opened(&bytes, &KEY, "a/b").expect_err(what);
        }
    }

    #[test]
    fn only_who_has_the_key_signs() {
        let proof = KEY.sign(b"text");
        assert!(KEY.has_signed(b"text", &proof));
        assert!(!KEY.has_signed(b"texts", &proof) && !ObjectKey::new([8; 32]).has_signed(b"text", &proof));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(plain in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
            let mut bytes = sealed(&plain);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(opened(&bytes, &KEY, "a/b").is_err());
        }
    }
}
