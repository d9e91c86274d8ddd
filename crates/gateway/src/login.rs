//! A client proves that it holds one of its tenant's keys (PostgreSQL manual, 55.3.1), or shows a token.

use std::time::Instant;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tenancy::{Claim, Identity, Refusal, TokenFault, Tokens};
use wire::backend;
use wire::frontend::SaslInitialResponse;
use wire::scram::{Channel, Exchange, MECHANISM, MECHANISM_PLUS, ScramError, Verifier};

use crate::client::{Client, Encryption, Loss};
use crate::fault::Fault;
use crate::parameters::Auth;
use crate::throttle::Attempt;

/// Bytes of randomness in the server's nonce, as PostgreSQL has it.
const NONCE_LEN: usize = 18;

/// Runs SCRAM-SHA-256, bound to the connection where the client can do that. The server's own proof is left in the client's `out`, to go along with what comes next.
pub(crate) async fn log_in(client: &mut Client, claim: Claim, attempt: Attempt) -> Result<Identity, Loss> {
    let slug = claim.slug().clone();
    // A key that is wrong, revoked or expired gets the same answer in the same time: none of them is a candidate.
    let proven = prove(client, claim.salt(), claim.iterations(), &claim.verifiers(), attempt).await?;
    Ok(proven.and_then(|index| claim.proven(index)).ok_or(Refusal::WrongKey(slug))?)
}

/// Has the client show a token, which counts as often as it is shown: only by a way on which nobody else can read it. What is
/// wrong with one is told and logged, the token never.
pub(crate) async fn show_token(
    client: &mut Client,
    claim: Claim,
    attempt: Attempt,
    tokens: Option<&Tokens>,
) -> Result<Identity, Loss> {
    if client.encryption.is_none() {
        return Err(Fault::new(
            "28000",
            "tokens are taken over TLS only",
            "Connect with sslmode=verify-full, so that the token goes to nobody else; the gateway was sent none.",
        )
        .into());
    }
    let tokens = tokens.ok_or_else(|| {
        Fault::new(
            "28000",
            format!("{} \"jwt\" is not offered here", Auth::NAME),
            "Leave it out and use one of the tenant's keys; the operator can offer it with [gateway.jwt].",
        )
    })?;
    backend::authentication_cleartext_password(&mut client.out);
    client.flush().await?;
    // With the zero at its end.
    let body = client.long_password(Tokens::MAX_LEN + 1).await?;
    let refused = |fault| Refusal::BadToken { slug: claim.slug().clone(), fault };
    let identity = match body.as_deref().map(<[u8]>::split_last) {
        Some(Some((0, token))) => claim.with_token(tokens, token),
        Some(_) => Err(refused(TokenFault::Malformed)),
        None => Err(refused(TokenFault::TooLong)),
    };
    match identity {
        Ok(identity) => {
            attempt.succeeded(Instant::now());
            Ok(identity)
        }
        Err(refusal) => {
            attempt.failed(Instant::now());
            Err(refusal.into())
        }
    }
}

/// The same for whoever holds one of several secrets, and which; `None` if it is none of them.
pub(crate) async fn prove(
    client: &mut Client,
    salt: &[u8],
    iterations: u32,
    verifiers: &[&Verifier],
    attempt: Attempt,
) -> Result<Option<usize>, Loss> {
    let end_point = client.encryption.as_ref().and_then(Encryption::end_point).map(<[u8]>::to_vec);
    backend::authentication_sasl(&mut client.out, end_point.is_some());
    client.flush().await?;

    let body = client.password().await?;
    let choice =
        SaslInitialResponse::parse(&body).ok_or_else(|| Fault::protocol("the client's SASL response is malformed"))?;
    let channel = match (choice.mechanism, &end_point) {
        (MECHANISM, None) => Channel::Unbound,
        (MECHANISM, Some(_)) => Channel::Declined,
        (MECHANISM_PLUS, Some(end_point)) => Channel::Bound(end_point),
        _ => return Err(Fault::protocol("the client chose a SASL mechanism that was not on offer").into()),
    };
    let (exchange, challenge) = Exchange::start(choice.data, channel, salt, iterations, &nonce()?)?;
    backend::authentication_sasl_continue(&mut client.out, &challenge);
    client.flush().await?;

    let answer = client.password().await?;
    match exchange.finish(&answer, verifiers) {
        Ok((index, server_final)) => {
            attempt.succeeded(Instant::now());
            backend::authentication_sasl_final(&mut client.out, &server_final);
            Ok(Some(index))
        }
        Err(ScramError::Proof) => {
            attempt.failed(Instant::now());
            Ok(None)
        }
        Err(malformed) => Err(malformed.into()),
    }
}

fn nonce() -> Result<String, Fault> {
    let mut bytes = [0; NONCE_LEN];
    rand::fill(&mut bytes).map_err(|_| no_randomness())?;
    Ok(STANDARD_NO_PAD.encode(bytes))
}

/// The system's generator failed, without which nobody is let in.
pub(crate) fn no_randomness() -> Fault {
    Fault::new("58000", "the gateway has no source of randomness", "The operator has to look at the system it runs on.")
}
