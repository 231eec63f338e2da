//! The pages in a browser: nothing is loaded and nothing runs.

use std::{
    fs,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::hostile::message;
use crate::support::{browser, lab::Lab};

/// How many connections came to a port.
fn counting() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        // Closed at once: the connection alone is what a sender of spam wants.
        while let Ok((connection, _)) = listener.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(connection);
        }
    });
    (port, count)
}

#[test]
fn a_hostile_message_loads_nothing_and_runs_nothing() {
    if !browser::is_here() {
        return;
    }
    let (port, connections) = counting();
    let lab = Lab::with_keys(&["alice"]);
    let message = message(port);
    lab.write("hostile.eml", &message);
    lab.run(&["verify", "--html", "page.html", "hostile.eml"]).code(1);
    let url = |name: &str| format!("file://{}", lab.path(name).display());
    let document = browser::document(&url("page.html"));
    assert!(document.contains("<title>Report on mail</title>"), "{document}");
    assert!(document.contains("&lt;script&gt;document.title='ran'&lt;/script&gt;"), "{document}");
    for element in ["<script", "<img", "<iframe", "<link"] {
        assert!(!document.contains(element), "{element}");
    }
    browser::picture(&url("page.html"), 1000, &lab.path("page.png"));
    assert!(fs::metadata(lab.path("page.png")).expect("a picture").len() > 10_000);
    assert_eq!(connections.load(Ordering::SeqCst), 0);

    // The same text as a page of its own does both. What would lead the browser to another page is left out, so that there is a document.
    lab.write("control.html", String::from_utf8_lossy(&message).replace("http-equiv=refresh", ""));
    let document = browser::document(&url("control.html"));
    assert!(document.contains("<title>ran</title>"), "{document}");
    assert!(connections.load(Ordering::SeqCst) > 0);
}
