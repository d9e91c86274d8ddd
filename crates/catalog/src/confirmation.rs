//! What proves that somebody has read a letter.

use aws_lc_rs::{constant_time, hmac};
use data_encoding::BASE64URL_NOPAD;
use domain::Email;
use time::OffsetDateTime;
use uuid::Uuid;

/// Bytes of the authentication code that a token carries: 128 bits, which nobody guesses.
const CODE: usize = 16;
const MEMBER: usize = 16;
const UNTIL: usize = 8;

/// Makes and checks the tokens in letters that ask whether an address is somebody's. Nothing of a token is kept: it says who is meant
/// and until when, and proves that with the installation's key.
pub struct ConfirmationKey(hmac::Key);

/// A token that has the right form.
#[derive(Debug)]
pub struct Confirmation {
    /// Who is meant.
    pub member: Uuid,
    until: u64,
    code: [u8; CODE],
}

impl Confirmation {
    /// Reads a token; whether it is true, [`ConfirmationKey::check`] tells.
    #[must_use]
    pub fn read(token: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        let (member, rest) = bytes.split_first_chunk::<MEMBER>()?;
        let (until, code) = rest.split_first_chunk::<UNTIL>()?;
        let until = u64::from_be_bytes(*until);
        Some(Self { member: Uuid::from_bytes(*member), until, code: code.try_into().ok()? })
    }
}

/// What a token is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Who has it has read the letter.
    Good,
    /// It was good once.
    Expired,
    /// It is made up, or about another address.
    False,
}

impl ConfirmationKey {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key))
    }

    /// A token for a member's address.
    #[must_use]
    pub fn issue(&self, member: Uuid, email: &Email, until: OffsetDateTime) -> String {
        let until = u64::try_from(until.unix_timestamp()).unwrap_or(0);
        let mut token = member.as_bytes().to_vec();
        token.extend_from_slice(&until.to_be_bytes());
        token.extend(self.code(member, until, email));
        BASE64URL_NOPAD.encode(&token)
    }

    /// Whether a token is about this address, now.
    #[must_use]
    pub fn check(&self, given: &Confirmation, email: &Email, now: OffsetDateTime) -> Proof {
        let code = self.code(given.member, given.until, email);
        if constant_time::verify_slices_are_equal(&code, &given.code).is_err() {
            return Proof::False;
        }
        let over = u64::try_from(now.unix_timestamp()).is_ok_and(|now| now > given.until);
        if over { Proof::Expired } else { Proof::Good }
    }

    fn code(&self, member: Uuid, until: u64, email: &Email) -> Vec<u8> {
        let text = format!("{member}:{until}:{}", email.folded());
        let whole = hmac::sign(&self.0, text.as_bytes());
        whole.as_ref().iter().copied().take(CODE).collect()
    }
}

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;

    #[test]
    fn a_token_is_good_for_one_address_until_it_expires() {
        let key = ConfirmationKey::new([7; 32]);
        let [ana, bia]: [Email; 2] =
            ["ana@example.org", "bia@example.org"].map(|text| text.parse().expect("an address"));
        let (member, now) = (Uuid::now_v7(), OffsetDateTime::now_utc());
        let token = key.issue(member, &ana, now + Duration::hours(1));
        assert_eq!(token.len(), 54, "it stands in a line of a letter");
        let given = Confirmation::read(&token).expect("a token");
        assert_eq!(given.member, member);
        assert_eq!(key.check(&given, &ana, now), Proof::Good);
        assert_eq!(key.check(&given, &"Ana@Example.org".parse().expect("an address"), now), Proof::Good);
        assert_eq!(key.check(&given, &bia, now), Proof::False);
        assert_eq!(key.check(&given, &ana, now + Duration::hours(2)), Proof::Expired);
        assert_eq!(ConfirmationKey::new([8; 32]).check(&given, &ana, now), Proof::False);
    }

    #[test]
    fn whatever_is_changed_makes_it_false_or_no_token() {
        let key = ConfirmationKey::new([7; 32]);
        let (email, member, now) =
            ("ana@example.org".parse().expect("an address"), Uuid::now_v7(), OffsetDateTime::now_utc());
        let token = key.issue(member, &email, now);
        for place in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).expect("ASCII");
            if let Some(given) = Confirmation::read(&changed) {
                assert_eq!(key.check(&given, &email, now), Proof::False, "{changed}");
            }
        }
        for bad in ["", "x", "é", &token[1..], &format!("{token}A"), &format!("{token}AAAA")] {
            assert!(Confirmation::read(bad).is_none(), "{bad}");
        }
    }
}
