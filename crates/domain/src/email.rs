//! Where people get their mail.

use crate::{Invalid, validated_text};

/// An e-mail address as browsers take it in a form: `local@domain`, the domain in ASCII (an internationalised one in its `xn--` form).
/// What is before the `@` keeps its capitals; whether two are the same does not depend on them.
#[derive(Debug, Clone)]
pub struct Email(String);

impl Email {
    /// Bytes in the longest address that a mail server has to take (RFC 5321, 4.5.3.1.3, without the angle brackets).
    pub const MAX_LEN: usize = 254;

    /// Bytes in the longest local part (RFC 5321, 4.5.3.1.1).
    const MAX_LOCAL: usize = 64;

    /// The address without capitals: one person has one account, however it is written.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    fn check(text: &str) -> Result<(), Invalid> {
        let bad = |why: &str| Err(Invalid::new(format!("{text:?} is no e-mail address: {why}")));
        if text.len() > Self::MAX_LEN {
            return Err(Invalid::new(format!("the e-mail address is longer than {} bytes", Self::MAX_LEN)));
        }
        let Some((local, domain)) = text.rsplit_once('@') else {
            return bad("it has no @; write it as name@example.com");
        };
        let plain = |it: char| it.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(it);
        if local.is_empty() || local.len() > Self::MAX_LOCAL || !local.chars().all(plain) {
            return bad("before the @ there have to be 1 to 64 ASCII letters, digits or .!#$%&'*+/=?^_`{|}~-");
        }
        if local.starts_with('.') || local.ends_with('.') || local.contains("..") {
            return bad("before the @ a dot stands between other characters");
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.chars().all(|it| it.is_ascii_alphanumeric() || it == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if !domain.split('.').all(label) {
            return bad("behind the @ there has to be a domain such as example.com");
        }
        Ok(())
    }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Email {}

validated_text!(Email);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_forms_take_them() {
        for good in
            ["ana@example.com", "ana.souza+paws@mail.example.com", "O'Neil@x", "a@xn--so-jia.example", "a@127-0"]
        {
            assert!(good.parse::<Email>().is_ok(), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(65));
        let longer = format!("a@{}", ["x".repeat(60).as_str(); 5].join("."));
        for bad in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@exa mple.com",
            "a na@example.com",
            "ana@example..com",
            "ana@-x.com",
            "ana@x-.com",
            "a@b@c",
            ".ana@x",
            "ana.@x",
            "a..b@x",
            "ana@example.com\r\nBcc: all@x",
            "ana\n@x",
            "josé@example.com",
            "ana@são.example",
            "\"a b\"@x",
            "ana@[127.0.0.1]",
            "<ana@x>",
            "ana@x,bia@y",
            &long,
            &longer,
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn capitals_make_no_other_address() {
        let [one, other]: [Email; 2] =
            ["Ana@Example.com", "ana@example.COM"].map(|text| text.parse().expect("an address"));
        assert_eq!(one, other);
        assert_eq!((one.as_str(), one.folded().as_str()), ("Ana@Example.com", "ana@example.com"));
    }
}
