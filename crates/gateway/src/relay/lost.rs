//! A pooled session whose server is lost goes on, where nothing of it is lost that the client counts on.
//!
//! Between two transactions the client does not even notice. Whoever had something running is told once, by the error of
//! a statement and not of the session, and finds itself outside of a transaction, which is what PostgreSQL has made of it.
//! A client that was in a transaction and had nothing running cannot be told at once: no answer is due. It is told at its
//! next statement, and until then what it sends is read and thrown away: [`Mourning`].

use bytes::BytesMut;
use wire::backend::{self, TransactionStatus};
use wire::frame::Header;

use super::pooled::Pooled;
use super::replies::Undo;
use super::upstream::Upstream;
use crate::fault::Fault;

/// A client that is to be told that its transaction is gone.
#[derive(Debug)]
pub(super) struct Mourning {
    fault: Fault,
    /// It has been told, and is skipped up to its next Sync.
    told: bool,
    /// The message that is being read is the one that the answer belongs to.
    closing: bool,
}

impl Mourning {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, told: false, closing: false }
    }

    fn tell(&mut self, out: &mut BytesMut) {
        if !std::mem::replace(&mut self.told, true) {
            self.fault.write_error(out);
        }
    }

    /// Takes a message that begins, and says what the client gets in return.
    fn hear(&mut self, header: Header, out: &mut BytesMut) {
        match header.tag {
            b'Q' | b'F' | b'S' => self.closing = true,
            // Flush: whoever says so waits.
            b'H' => self.tell(out),
            _ => {}
        }
    }

    /// Throws away what the client sends, up to the message that is answered. Gives what it is told, and whether that was
    /// the message.
    pub(super) fn read(&mut self, up: &mut Upstream) -> Result<(BytesMut, bool), Fault> {
        let mut out = BytesMut::new();
        while let Some(piece) = up.pump.peek()? {
            let (len, ends) = (piece.bytes.len(), piece.ends);
            if let Some(header) = piece.begins {
                // Leaving, and what is out of place, is not for here.
                if matches!(header.tag, b'X' | b'p') {
                    return Ok((out, true));
                }
                self.hear(header, &mut out);
            }
            up.pump.replace(len, &[]);
            if ends && self.closing {
                self.tell(&mut out);
                backend::ready_for_query(&mut out, TransactionStatus::Idle);
                return Ok((out, true));
            }
        }
        Ok((out, false))
    }
}

/// What becomes of a session whose server is lost.
#[derive(Debug)]
pub(super) struct Loss {
    /// What the client is told at once.
    pub(super) answers: BytesMut,
    /// It is not at the end of that yet.
    pub(super) mourning: Option<Mourning>,
}

impl Pooled {
    /// Whether nothing of the session is lost with its server but a transaction.
    pub(super) fn outlives_server(&self) -> bool {
        !(self.kept || self.stays() || self.ask || self.reported || self.replies.is_copying())
    }

    /// Answers what is due in the server's place. `status` is that of the transaction, as far as the server told.
    pub(super) fn lose_server(&mut self, fault: Fault, status: TransactionStatus) -> Loss {
        let mut answers = BytesMut::new();
        let mut undone = Vec::new();
        let due = self.replies.lost(&mut undone);
        for undo in undone {
            if let Undo::Name(name, before) = undo {
                drop(self.statements.set(&name, before));
            }
        }
        self.server_is_gone();
        for index in 0..due.ends {
            if index > 0 || !due.told {
                fault.write_error(&mut answers);
            }
            backend::ready_for_query(&mut answers, TransactionStatus::Idle);
        }
        let told = due.told && due.ends == 0;
        let mourning = if due.unsynced || told {
            let mut mourning = Mourning { fault, told, closing: false };
            mourning.tell(&mut answers);
            Some(mourning)
        } else if due.ends == 0 && status != TransactionStatus::Idle {
            Some(Mourning::new(fault))
        } else {
            None
        };
        Loss { answers, mourning }
    }
}
