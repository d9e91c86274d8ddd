//! The stage that a client's messages pass on their way to the server.

use wire::frame::Direction;

use super::ledger::Ledger;
use super::pump::Pump;
use crate::fault::Fault;

/// Client to server.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) pump: Pump,
    left: bool,
}

impl Upstream {
    pub(super) fn new(pipelined: &[u8]) -> Self {
        Self { pump: Pump::new(Direction::ToServer, &[], pipelined), left: false }
    }

    /// Judges what has arrived.
    pub(super) fn inspect(&mut self, ledger: &mut Ledger) -> Result<(), Fault> {
        while !self.left
            && let Some(piece) = self.pump.peek()?
        {
            match piece.begins.map(|header| header.tag) {
                // Ours to act on: the server connection stays.
                Some(b'X') => {
                    self.leave();
                    return Ok(());
                }
                Some(b'p') => return Err(Fault::protocol("the client sent a password that nobody asked for")),
                Some(tag) => ledger.sent(tag),
                None => {}
            }
            let len = piece.bytes.len();
            self.pump.pass(len);
        }
        Ok(())
    }

    /// The client has said goodbye or is gone. What it sent before still goes out.
    pub(super) fn leave(&mut self) {
        self.left = true;
        self.pump.close();
    }

    /// The server takes nothing more.
    pub(super) fn abandon(&mut self) {
        self.pump.abandon();
    }

    pub(super) const fn has_left(&self) -> bool {
        self.left
    }

    /// Whether the server has everything that the client sent, up to the end of a message.
    pub(super) fn is_drained(&self) -> bool {
        self.pump.is_drained()
    }
}
