use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use serde_json::json;
use tempfile::TempDir;

use super::*;

const TENANT: &str = "0192f0c1-2345-7abc-8def-01234567890a";
const NOW: i64 = 1_800_000_000;

/// An issuer with a key of each kind, and what believes in it.
struct Issuer {
    _folder: TempDir,
    tokens: Tokens,
    keys: Vec<(Algorithm, EncodingKey)>,
}

/// A pair of which the public half is as JWK.
fn pair(algorithm: Algorithm) -> (EncodingKey, Value) {
    let kind = match algorithm {
        Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        Algorithm::EdDSA => &rcgen::PKCS_ED25519,
        _ => &rcgen::PKCS_RSA_SHA256,
    };
    let made = rcgen::KeyPair::generate_for(kind).expect("a key");
    let (private, public) = (made.serialize_der(), rcgen::PublicKeyData::der_bytes(&made));
    let (signing, verifying) = match algorithm {
        Algorithm::ES256 | Algorithm::ES384 => (EncodingKey::from_ec_der(&private), DecodingKey::from_ec_der(public)),
        Algorithm::EdDSA => (EncodingKey::from_ed_der(&private), DecodingKey::from_ed_der(public)),
        _ => (EncodingKey::from_rsa_der(&pkcs1(&private)), DecodingKey::from_rsa_der(public)),
    };
    let mut jwk =
        serde_json::to_value(Jwk::from_decoding_key(&verifying, Some(algorithm)).expect("a JWK")).expect("JSON");
    jwk["kid"] = format!("{algorithm:?}").into();
    (signing, jwk)
}

/// The RSA key inside of a PKCS #8 one: what its last octet string holds.
fn pkcs1(pkcs8: &[u8]) -> Vec<u8> {
    let at = pkcs8.windows(4).position(|window| window[0] == 0x04 && window[1] == 0x82 && pkcs8.len() > 600);
    pkcs8[at.expect("an octet string") + 4..].to_vec()
}

impl Issuer {
    fn new() -> Self {
        let all = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::PS384];
        let (keys, jwks): (Vec<_>, Vec<_>) = all
            .into_iter()
            .map(|algorithm| {
                let (signing, jwk) = pair(algorithm);
                ((algorithm, signing), jwk)
            })
            .unzip();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("keys.json");
        std::fs::write(&file, json!({"keys": jwks}).to_string()).expect("written");
        let settings = TokenSettings {
            issuer: "https://id.example".to_owned(),
            audience: "sindico".to_owned(),
            tenant_claim: "tenant".to_owned(),
            access_claim: "access".to_owned(),
            leeway: Duration::from_secs(5),
            grace: Duration::from_mins(1),
        };
        Self { _folder: folder, tokens: Tokens::read(settings, file).expect("keys"), keys }
    }

    fn signed_by(&self, index: usize, claims: &Value) -> String {
        let (algorithm, key) = &self.keys[index];
        let header = Header { kid: Some(format!("{algorithm:?}")), ..Header::new(*algorithm) };
        encode(&header, claims, key).expect("a token")
    }

    fn check(&self, token: &str) -> Result<(Access, Lapse), TokenFault> {
        let (slug, tenant) = ("paws".parse().expect("a slug"), TENANT.parse().expect("an id"));
        let now = OffsetDateTime::from_unix_timestamp(NOW).expect("a time");
        self.tokens.check(token.as_bytes(), &slug, tenant, now)
    }

    /// What becomes of a right token with other claims.
    fn fault(&self, changes: &Value) -> Option<TokenFault> {
        let mut claims = right();
        for (name, value) in changes.as_object().expect("claims") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("claims").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.check(&self.signed_by(0, &claims)).err()
    }
}

fn right() -> Value {
    json!({"iss": "https://id.example", "aud": "sindico", "exp": NOW + 60, "tenant": "paws", "access": "write"})
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[test]
fn every_kind_of_key_verifies_what_it_has_signed() {
    let issuer = Issuer::new();
    for index in 0..issuer.keys.len() {
        let token = issuer.signed_by(index, &right());
        let (access, lapse) =
            issuer.check(&token).unwrap_or_else(|fault| panic!("{:?}: {fault}", issuer.keys[index].0));
        let left = lapse.at - Instant::now();
        assert!(access == Access::ReadWrite && left > Duration::from_mins(1) && left <= Duration::from_secs(65));
        // The last character may hold bits that mean nothing.
        let at = token.len() - 10;
        let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
        let changed = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert_eq!(issuer.check(&changed).err(), Some(TokenFault::Signature));
    }
}

#[test]
fn a_token_has_to_say_all_that_is_asked() {
    let issuer = Issuer::new();
    for (changes, expected) in [
        (json!({}), None),
        (json!({"tenant": TENANT}), None),
        (json!({"aud": ["other", "sindico"]}), None),
        (json!({"exp": NOW - 4}), None),
        (json!({"exp": 9e15}), None),
        (json!({"exp": 1e300}), Some(TokenFault::Claim("exp"))),
        (json!({"nbf": NOW + 4}), None),
        (json!({"iss": "https://id.example/"}), Some(TokenFault::Issuer)),
        (json!({"iss": null}), Some(TokenFault::Claim("iss"))),
        (json!({"aud": "síndico"}), Some(TokenFault::Audience)),
        (json!({"aud": []}), Some(TokenFault::Audience)),
        (json!({"aud": null}), Some(TokenFault::Claim("aud"))),
        (json!({"exp": null}), Some(TokenFault::Claim("exp"))),
        (json!({"exp": "soon"}), Some(TokenFault::Claim("exp"))),
        (json!({"exp": NOW - 5}), Some(TokenFault::Expired)),
        (json!({"exp": 0}), Some(TokenFault::Expired)),
        (json!({"nbf": NOW + 6}), Some(TokenFault::Early)),
        (json!({"nbf": "later"}), Some(TokenFault::Claim("nbf"))),
        (json!({"tenant": "claws"}), Some(TokenFault::OtherTenant)),
        (json!({"tenant": TENANT.replace('a', "b")}), Some(TokenFault::OtherTenant)),
        (json!({"tenant": null}), Some(TokenFault::NoTenant)),
        (json!({"tenant": ["paws"]}), Some(TokenFault::NoTenant)),
        (json!({"access": "admin"}), Some(TokenFault::Access)),
        (json!({"access": true}), Some(TokenFault::Access)),
    ] {
        assert_eq!(issuer.fault(&changes), expected, "{changes}");
    }
    for (access, granted) in [(json!("read"), Access::ReadOnly), (Value::Null, Access::ReadOnly)] {
        let mut claims = right();
        if access.is_null() {
            claims.as_object_mut().expect("claims").remove("access");
        } else {
            claims["access"] = access;
        }
        assert_eq!(issuer.check(&issuer.signed_by(1, &claims)).expect("a right token").0, granted);
    }
}

#[test]
fn the_token_does_not_choose_how_it_is_verified() {
    let issuer = Issuer::new();
    let claims = right();
    let forged = |header: Value, signature: &str| {
        issuer.check(&format!("{}.{}.{signature}", part(&header), part(&claims))).expect_err("forged")
    };
    for none in ["none", "None", "NONE", ""] {
        assert_eq!(forged(json!({"alg": none, "kid": "EdDSA"}), ""), TokenFault::Malformed, "{none}");
    }
    assert_eq!(forged(json!({"kid": "EdDSA"}), ""), TokenFault::Malformed, "no algorithm");
    assert_eq!(forged(json!({"alg": "EdDSA", "kid": "EdDSA"}), ""), TokenFault::Signature);
    // The public key as a shared secret, which everybody knows.
    let (_, jwk) = pair(Algorithm::EdDSA);
    for secret in [jwk["x"].as_str().expect("a key").as_bytes(), b""] {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let header = Header { kid: Some("EdDSA".to_owned()), ..Header::new(algorithm) };
            let token = encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("a token");
            assert_eq!(issuer.check(&token).err(), Some(TokenFault::Algorithm), "{algorithm:?}");
        }
    }
    // Another algorithm than the key's own, of the same family.
    let header = Header { kid: Some("RS256".to_owned()), ..Header::new(Algorithm::PS256) };
    let token = encode(&header, &claims, &issuer.keys[3].1).expect("a token");
    assert_eq!(issuer.check(&token).err(), Some(TokenFault::Algorithm));
    // Another key than is named, one that nobody knows, one that it brings along, and none.
    for (kid, expected) in [
        (Some("ES256"), TokenFault::Signature),
        (Some("new"), TokenFault::UnknownKey),
        (Some(""), TokenFault::UnknownKey),
        (None, TokenFault::UnknownKey),
    ] {
        let (stranger, jwk) = pair(Algorithm::ES256);
        let jwk = serde_json::from_value(jwk).ok();
        let header = Header { kid: kid.map(str::to_owned), jwk, ..Header::new(Algorithm::ES256) };
        let token = encode(&header, &claims, &stranger).expect("a token");
        assert_eq!(issuer.check(&token).err(), Some(expected), "{kid:?}");
    }
    let header =
        Header { kid: Some("EdDSA".to_owned()), crit: Some(vec!["b64".to_owned()]), ..Header::new(Algorithm::EdDSA) };
    let token = encode(&header, &claims, &issuer.keys[0].1).expect("a token");
    assert_eq!(issuer.check(&token).err(), Some(TokenFault::Malformed), "something that is not understood");
}

#[test]
fn nonsense_is_no_token() {
    let issuer = Issuer::new();
    let good = issuer.signed_by(0, &right());
    let long = "a".repeat(Tokens::MAX_LEN + 1);
    for bad in ["", ".", "..", "...", "a.b.c", &good[..good.len() / 2], &good.replace('.', ""), &format!("{good}.x")] {
        assert_eq!(issuer.check(bad).err(), Some(TokenFault::Malformed), "{bad}");
    }
    assert_eq!(issuer.check(&long).err(), Some(TokenFault::TooLong));
    let mut claims = right();
    claims["tenant"] = "x".repeat(20_000).into();
    assert_eq!(issuer.check(&issuer.signed_by(0, &claims)).err(), Some(TokenFault::TooLong));
    let list = issuer.signed_by(0, &json!([right()]));
    assert_eq!(issuer.check(&list).err(), Some(TokenFault::Malformed), "no object");
}
