//! A client proves that it holds one of its tenant's keys (PostgreSQL manual, 55.3.1).

use std::time::Instant;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tenancy::{Claim, Identity, Refusal};
use wire::backend;
use wire::frontend::SaslInitialResponse;
use wire::scram::{Channel, Exchange, MECHANISM, MECHANISM_PLUS, ScramError, Verifier};

use crate::client::{Client, Encryption, Loss};
use crate::fault::Fault;
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
