//! `LISTEN`, `UNLISTEN` and `NOTIFY`: tenants of one database have one space of channels, and each a secret beginning
//! of its own.

use std::ops::Range;

use domain::{Isolation, quote_literal};
use pg_query::NodeEnum;

use super::edit::{Part, Slot};
use super::truncate::words;
use super::{Adapter, Edit, Place};
use crate::lex::{Kind, Lexer};
use crate::name::MAX_LEN;
use crate::refusal::{Fault, Verdict};

/// Bytes of a tenant's channel prefix: `n_`, 21 hexadecimal digits, `_`.
pub(super) const PREFIX_LEN: usize = 24;

impl Adapter<'_> {
    /// Whether other tenants' channels are in the same database.
    pub(super) fn shares_channels(&self) -> bool {
        matches!(self.flavour.isolation, Isolation::Shared | Isolation::Schema)
    }

    pub(super) fn channel(&mut self, kind: &NodeEnum, span: &Range<usize>) -> Verdict<()> {
        match (kind, self.flavour.place) {
            (NodeEnum::NotifyStmt(notify), Place::Sql | Place::PlPgSql) => {
                let verb = if self.flavour.place == Place::Sql { "SELECT" } else { "PERFORM" };
                let (channel, payload) = (quote_literal(&notify.conditionname), quote_literal(&notify.payload));
                let call = format!("{verb} sindico.notify({channel}, {payload})");
                self.edits.extend(words(self.text, span.clone()).map(|words| Edit::replace(words, call)));
                Ok(())
            }
            (_, Place::Sql | Place::PlPgSql | Place::View) => {
                Err(Fault::unsupported("LISTEN or UNLISTEN in a function", "let the client listen"))
            }
            (_, Place::Client) if !self.shares_channels() => Ok(()),
            (NodeEnum::ListenStmt(listen), Place::Client) => self.prefix(&listen.conditionname, span),
            (NodeEnum::NotifyStmt(notify), Place::Client) => self.prefix(&notify.conditionname, span),
            (NodeEnum::UnlistenStmt(unlisten), Place::Client) if !unlisten.conditionname.is_empty() => {
                self.prefix(&unlisten.conditionname, span)
            }
            _ => Ok(()),
        }
    }

    fn prefix(&mut self, channel: &str, span: &Range<usize>) -> Verdict<()> {
        if channel.len() > MAX_LEN - PREFIX_LEN {
            return Err(Fault::new(
                format!("the channel {channel} is longer than {} bytes", MAX_LEN - PREFIX_LEN),
                "choose a shorter name: PostgreSQL's names end at 63 bytes, and the tenant's own prefix is part of it",
            ));
        }
        let mut words = Lexer::from(self.text, span.start, true).skip(1);
        if let Some(word) = words.next().filter(|word| matches!(word.kind, Kind::Word | Kind::Quoted)) {
            let name = format!("{}\"", channel.replace('"', "\"\""));
            let parts = vec![Part::Text("\"".to_owned()), Part::Slot(Slot::ChannelPrefix), Part::Text(name)];
            self.edits.push(Edit { range: word.start..word.end, parts });
        }
        Ok(())
    }
}
