//! Bytes that no driver sends.

use tokio::time::Instant;

use crate::bed::Bed;
use crate::socket::{
    Login, SSL_REQUEST, Socket, bind, errors, execute, message, parse, query, sasl_first, startup, sync, tags, values,
};

#[tokio::test]
async fn nothing_gets_in_before_the_key_is_proven() {
    let bed = Bed::make().await;
    let login = Login::of(&bed.tenant("paws", "shared").await);
    let begin = login.startup(&[]);
    let first = |mechanism: &str, data: &str| sasl_first(mechanism, data.as_bytes());

    for (name, words, expected) in [
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), "08P01"),
        ("a negative length", vec![0xff; 16], "08P01"),
        ("a length below the least", vec![0, 0, 0, 3, 0, 3, 0, 0], "08P01"),
        ("a length beyond the greatest", [0, 1, 0, 0, 0, 3, 0, 0].to_vec(), "08P01"),
        ("parameters without an end", b"\0\0\0\x0d\0\x03\0\0user\0".to_vec(), "08P01"),
        ("no user", startup(0x0003_0000, [("database", "x")]), "28000"),
        ("a query at once", [&begin[..], &query("SELECT 1")].concat(), "08P01"),
        ("a password in the clear", [&begin[..], &message(b'p', b"secret\0")].concat(), "08P01"),
        ("another mechanism", [&begin[..], &first("PLAIN", "x")].concat(), "08P01"),
        (
            "channel binding",
            [&begin[..], &first("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=x")].concat(),
            "08P01",
        ),
        ("bound without TLS", [&begin[..], &first("SCRAM-SHA-256", "p=tls-unique,,n=,r=x")].concat(), "08P01"),
        ("another's authority", [&begin[..], &first("SCRAM-SHA-256", "n,a=admin,n=,r=x")].concat(), "08P01"),
        ("no nonce", [&begin[..], &first("SCRAM-SHA-256", "n,,n=")].concat(), "08P01"),
        ("a huge first message", [&begin[..], &first("SCRAM-SHA-256", &"n".repeat(4000))].concat(), "08P01"),
        ("a password of a gigabyte", [&begin[..], b"p\x3f\xff\xff\xff"].concat(), "08P01"),
        ("a password of a negative length", [&begin[..], b"p\xff\xff\xff\xff"].concat(), "08P01"),
    ] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&words).await;
        assert_eq!(socket.last_words().await, expected, "{name}");
    }

    // A proof for another nonce, one that is cut off, and a query in the place of one.
    for (name, last) in [
        ("another nonce", message(b'p', b"c=biws,r=abcdefgh,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
        ("no proof", message(b'p', b"c=biws,r=abcdefgh")),
        ("nothing", message(b'p', b"")),
        ("a query", query("SELECT 1")),
    ] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&begin).await;
        socket.send(&first("SCRAM-SHA-256", "n,,n=,r=abcdefgh")).await;
        socket.send(&last).await;
        assert_eq!(socket.last_words().await, "08P01", "{name}");
    }

    // Words put in behind a request for encryption, as by somebody between.
    let mut socket = Socket::open(&bed).await;
    socket.send(&[SSL_REQUEST, &begin].concat()).await;
    assert_eq!(socket.last_words().await, "08P01");
    let mut socket = Socket::open(&bed).await;
    for answer in [Some(b'N'), Some(b'E')] {
        socket.send(SSL_REQUEST).await;
        assert_eq!(socket.hear_byte().await, answer, "each kind is asked for once");
    }

    // What follows the key at once is answered after it.
    let mut socket = Socket::open(&bed).await;
    socket.send(&begin).await;
    socket.prove(&login.key).await.expect("in");
    bed.close().await;
}

#[tokio::test]
async fn streams_out_of_step_end_and_harm_nobody() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "database").await;
    let other = bed.tenant("other", "database").await;
    let mut bystander = Socket::enter(&bed, &other).await;
    for (name, words) in [
        ("a length of three", b"Q\0\0\0\x03".to_vec()),
        ("a negative length", b"Q\xff\xff\xff\xff".to_vec()),
        ("more than a gigabyte", b"d\x40\0\0\x01".to_vec()),
        ("an unknown message", b"!\0\0\0\x04".to_vec()),
        ("a server's message", b"Z\0\0\0\x05I".to_vec()),
        ("a password nobody asked for", message(b'p', b"secret\0")),
        ("a startup message", startup(0x0003_0000, [("user", "other")])),
        ("a cancel request", vec![0, 0, 0, 16, 4, 210, 22, 46, 0, 0, 0, 1, 0, 0, 0, 1]),
    ] {
        let mut socket = Socket::enter(&bed, &made).await;
        socket.send_anyway(&words).await;
        assert_eq!(socket.last_words().await, "08P01", "{name}");
        // In the middle of a COPY.
        let mut socket = Socket::enter(&bed, &made).await;
        socket.send(&query("COPY staff (name, works_as) FROM STDIN")).await;
        assert_eq!(socket.hear().await.expect("an answer").0, b'G');
        socket.send_anyway(&[message(b'd', b"Half\tgroomer\n"), words].concat()).await;
        assert_eq!(socket.last_words().await, "08P01", "{name} in a COPY");
    }
    assert_eq!(values(&bystander.query("SELECT name FROM clients").await), ["Ana Souza"]);

    // A query inside a COPY is the server's to refuse; what follows is in step, or the session is over.
    let mut socket = Socket::enter(&bed, &made).await;
    socket.send(&[query("COPY staff (name, works_as) FROM STDIN"), query("SELECT 1")].concat()).await;
    assert_eq!(errors(&socket.until_closed().await).len(), 2, "COPY's error and the server's goodbye");

    // Statements smuggled in the body of another message are bytes and nothing more.
    let mut socket = Socket::enter(&bed, &made).await;
    let smuggled = query("DELETE FROM clients");
    let broken = [parse("", "SELECT 1/0"), bind("", ""), execute("", 0), message(b'd', &smuggled), sync()].concat();
    socket.send(&broken).await;
    let heard = socket.until_ready().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("1EZ", vec!["22012".to_owned()]));
    let inside = message(b'Q', &[&b"SELECT 'x' -- \0"[..], &smuggled].concat());
    socket.send(&inside).await;
    assert_eq!(errors(&socket.until_ready().await), ["08P01"], "bytes after the end of the text");
    let mut socket = Socket::enter(&bed, &made).await;
    assert_eq!(values(&socket.query("SELECT count(*) FROM clients; SELECT count(*) FROM staff").await), ["1", "0"]);
    bed.close().await;
}

#[tokio::test]
async fn clients_that_say_nothing_cost_nobody_else_anything() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let login = Login::of(&made);
    let mut silent = Vec::new();
    for index in 0..300 {
        let mut socket = Socket::open(&bed).await;
        // A third each: nothing, half a startup message, and no answer to the challenge.
        let begin = login.startup(&[]);
        match index % 3 {
            0 => {}
            1 => socket.send(&begin[..5]).await,
            _ => socket.send(&begin).await,
        }
        silent.push(socket);
    }
    let begun = Instant::now();
    let mut socket = Socket::enter(&bed, &made).await;
    assert_eq!(values(&socket.query("SELECT 1").await), ["1"]);
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
    bed.close().await;
}
