//! What is read of a client whose next message has to wait.

use std::time::Duration;

use bytes::BytesMut;
use pool::Residue;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tokio::time::timeout;

use super::super::ledger::Ledger;
use super::super::pooled::Pooled;
use super::super::slow::Slow;
use super::super::upstream::Upstream;
use crate::dials::Dials;
use crate::prepared::Library;
use crate::statement::Dialect;

const EXECUTE: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";
const COUNT: usize = 100_000;

#[tokio::test]
async fn a_client_that_takes_no_answers_does_not_fill_the_memory() {
    let ((mut client, mut source), (mut sink, mut server)) = (duplex(1 << 20), duplex(1 << 20));
    client.write_all(&EXECUTE.repeat(COUNT)).await.expect("sent");
    let (mut ledger, mut residue) = (Ledger::new(), Residue::default());
    let (mut pooled, mut up) = (Pooled::new(Library::default(), 1), Upstream::new(BytesMut::new(), None, true, false));
    let mut slow = Slow::new(Dials::default());
    let mut told = 0;
    let (mut seen, mut buffer) = (Vec::new(), vec![0; 1 << 20]);
    while seen.len() < COUNT * EXECUTE.len() {
        let step = timeout(Duration::from_millis(100), up.step(&mut source, Some(&mut sink))).await;
        assert!(up.pump.arrived().len() < 64 * 1024, "{} bytes wait in memory", up.pump.arrived().len());
        if step.is_err() {
            // Nothing moves any more, so it is for the server to answer what it has been asked.
            let heard = timeout(Duration::from_secs(5), server.read(&mut buffer)).await;
            seen.extend_from_slice(&buffer[..heard.expect("more is sent when all has been answered").expect("open")]);
            while told < seen.len() / EXECUTE.len() {
                assert!(pooled.hears(b'C', b"SELECT 0\0", &mut residue), "the client's own");
                told += 1;
            }
        }
        up.inspect(&mut ledger, Dialect::of([]), Some((&mut pooled, &mut residue)), &mut slow)
            .expect("nothing wrong with it");
    }
    assert!(seen.chunks(EXECUTE.len()).all(|message| message == EXECUTE));
}
