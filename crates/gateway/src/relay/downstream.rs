//! The stage that a server's messages pass on their way to the client.

use wire::backend::TransactionStatus;
use wire::frame::{Demand, Direction};

use super::ledger::Ledger;
use super::pump::Pump;
use crate::fault::Fault;

/// Messages whose content matters here.
const DEMANDS: &[Demand] = &[Demand { tag: b'Z', limit: 1 }];

/// Server to client.
#[derive(Debug)]
pub(super) struct Downstream {
    pub(super) pump: Pump,
    last_tag: u8,
}

impl Downstream {
    pub(super) fn new() -> Self {
        Self { pump: Pump::new(Direction::ToClient, DEMANDS, &[]), last_tag: b'Z' }
    }

    /// Judges what has arrived.
    pub(super) fn inspect(&mut self, ledger: &mut Ledger) -> Result<(), Fault> {
        loop {
            let piece = match self.pump.peek() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(()),
                Err(error) => {
                    tracing::warn!(%error, "a server broke the protocol");
                    return Err(Fault::server_astray());
                }
            };
            if let Some(header) = piece.begins {
                let sound = match header.tag {
                    b'Z' => TransactionStatus::parse(piece.body()).is_some_and(|status| ledger.ready(status)),
                    // Of a login, which is over: a server that starts another may be after the client's password.
                    b'R' | b'K' | b'v' => false,
                    tag => {
                        ledger.received(tag);
                        true
                    }
                };
                if !sound {
                    tracing::warn!(tag = %char::from(header.tag), "a server sent a message out of place");
                    return Err(Fault::server_astray());
                }
                self.last_tag = header.tag;
            }
            let len = piece.bytes.len();
            self.pump.pass(len);
        }
    }

    /// Whether the server's last message was an error, so that the client knows why the server is gone.
    pub(super) fn has_said_goodbye(&self) -> bool {
        self.last_tag == b'E' && self.pump.is_drained()
    }

    /// Whether the client has everything that the server sent, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.pump.is_drained()
    }
}
