//! What SCRAM binds a proof to: the hash of the server's certificate (RFC 5929, section 4.1).

use aws_lc_rs::digest;
use rustls::pki_types::alg_id;

/// `tls-server-end-point` of a certificate in DER: its hash, by the function that its signature uses. `None` if that is not
/// one function, as in Ed25519, which the RFC gives no rule for, or one that other implementations do not agree on.
#[must_use]
pub fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let signed_by = signature_algorithm(certificate)?;
    let is_one_of = |known: [alg_id::AlgorithmIdentifier; 2]| known.iter().any(|known| known.as_ref() == signed_by);
    let function = if is_one_of([alg_id::ECDSA_SHA256, alg_id::RSA_PKCS1_SHA256]) {
        &digest::SHA256
    } else if is_one_of([alg_id::ECDSA_SHA384, alg_id::RSA_PKCS1_SHA384]) {
        &digest::SHA384
    } else if is_one_of([alg_id::ECDSA_SHA512, alg_id::RSA_PKCS1_SHA512]) {
        &digest::SHA512
    } else {
        return None;
    };
    Some(digest::digest(function, certificate).as_ref().to_vec())
}

/// The `signatureAlgorithm` of a certificate (RFC 5280, section 4.1): the second part of the outermost sequence.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (whole, _) = sequence(certificate)?;
    let (_signed, rest) = sequence(whole)?;
    let (algorithm, _signature) = sequence(rest)?;
    Some(algorithm)
}

/// Content of the DER sequence that stands first, and what follows it (X.690, section 8.1.3).
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[0x30, first], rest) = der.split_first_chunk::<2>()? else { return None };
    if first < 0x80 {
        return rest.split_at_checked(usize::from(first));
    }
    let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    // A certificate of 16 MiB or more is none.
    if !(1..=3).contains(&length.len()) {
        return None;
    }
    let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> Vec<u8> {
        let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
        let params = rcgen::CertificateParams::new(["db.example".to_owned()]).expect("names");
        params.self_signed(&key).expect("a certificate").der().to_vec()
    }

    #[test]
    fn the_hash_is_the_signatures() {
        for (algorithm, len) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let certificate = made(algorithm);
            assert_eq!(end_point(&certificate).map(|hash| hash.len()), len, "{algorithm:?}");
        }
        let certificate = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert_eq!(end_point(&certificate).as_deref(), Some(digest::digest(&digest::SHA256, &certificate).as_ref()));
    }

    #[test]
    fn what_is_no_certificate_has_none() {
        let certificate = made(&rcgen::PKCS_ECDSA_P256_SHA256);
        for cut in 0..certificate.len().min(64) {
            assert_eq!(end_point(&certificate[..cut]), None);
        }
        for bad in [&b""[..], b"\x30", b"\x30\x80", b"\x30\x84\xff\xff\xff\xff", b"\x30\xff", b"\x31\x00"] {
            assert_eq!(end_point(bad), None, "{bad:?}");
        }
    }
}
