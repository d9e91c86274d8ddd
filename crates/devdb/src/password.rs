//! The superuser's password.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

/// Enough bytes of randomness that guessing is hopeless, few enough that the text still fits on a line.
const BYTES: usize = 16;

/// The superuser's password. Neither `Debug` nor an error shows it.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    /// Draws a password from the kernel's random numbers.
    pub(crate) fn generate() -> io::Result<Self> {
        Self::from_random(&mut File::open("/dev/urandom")?)
    }

    fn from_random(random: &mut impl Read) -> io::Result<Self> {
        hex(random, BYTES).map(Self)
    }

    /// Reads what an earlier run kept.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        Ok(Self(text.trim_end().to_owned()))
    }

    /// Only for where it is needed: a connection, or the file that holds it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// So many bytes from `random` as hexadecimal digits, which need no escaping in a URL or an option file.
pub(crate) fn hex(random: &mut impl Read, bytes: usize) -> io::Result<String> {
    use fmt::Write;

    let mut drawn = vec![0; bytes];
    random.read_exact(&mut drawn)?;
    let mut text = String::with_capacity(2 * bytes);
    for byte in drawn {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::Password;

    #[test]
    fn is_hexadecimal_differs_each_time_and_stays_out_of_debug() {
        let (one, other) = (Password::generate().unwrap(), Password::generate().unwrap());
        assert_eq!(one.reveal().len(), 32);
        assert!(one.reveal().bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one.reveal(), other.reveal());
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn too_little_randomness_is_an_error_and_not_a_weak_password() {
        assert!(Password::from_random(&mut [1_u8; 15].as_slice()).is_err());
        assert_eq!(Password::from_random(&mut [0xab_u8; 16].as_slice()).unwrap().reveal(), "ab".repeat(16));
    }
}
