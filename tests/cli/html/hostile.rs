//! Messages that try to be more than text on a page.

use std::fs;

use crate::support::{
    lab::Lab,
    pages::{assert_harmless, text},
};

/// A message that loads from `port` and runs, wherever a page does not escape it.
pub(super) fn message(port: u16) -> Vec<u8> {
    let image = format!("<img src=http://127.0.0.1:{port}/x>");
    let script = "</title></style></pre></script><script>document.title='ran'</script>";
    let attachment = format!("\"'><svg onload=document.title='ran'>{image}.html");
    let mut message = format!(
        "From: \"{image}\" <alice@example.org>\n\
         To: bob@example.org\n\
         X-{script}: x\n\
         Subject: =?utf-8?Q?{}_=E2=80=AEtxt.exe=E2=80=AC_=00?=\n\
         X-Long: {}\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n\
         --b\nContent-Type: text/plain; charset=utf-8\n\n{script}{image}\u{202e}\u{200b}\u{2066}",
        script.replace('=', "=3D").replace(' ', "_"),
        "<b>".repeat(40_000),
    )
    .into_bytes();
    message.push(0);
    message.extend_from_slice(
        format!(
            "\n--b\nContent-Type: text/html\n\n<html><head><meta http-equiv=refresh content='0;url=http://127.0.0.1:{port}/r'>\
             <link rel=stylesheet href=http://127.0.0.1:{port}/s><style>@import 'http://127.0.0.1:{port}/i';body{{display:none}}</style></head>\
             <body onload=\"document.title='ran'\">{image}{script}<iframe src=http://127.0.0.1:{port}/f></iframe></body></html>\n\
             --b\nContent-Type: application/octet-stream; name=\"{}\"\nContent-Disposition: attachment; filename=\"{}\"\n\nx\n--b--\n",
            attachment.replace('"', "\\\""),
            attachment.replace('"', "\\\""),
        )
        .as_bytes(),
    );
    message
}

#[test]
fn a_message_is_text_wherever_it_stands() {
    let lab = Lab::with_keys(&["alice"]);
    let name = "<img src=x onerror=alert(1)>.eml";
    lab.write(name, message(9)).write("two.eml", message(9));
    lab.run(&["verify", "--html", "page.html", name, "two.eml"]).code(1);
    let page = fs::read_to_string(lab.path("page.html")).unwrap();
    assert_harmless(&page);
    let shown = text(&page);
    for words in [
        "<img src=http://127.0.0.1:9/x>",
        "<script>document.title='ran'</script>",
        "U+202Etxt.exeU+202C",
        "U+0000",
        "U+200BU+2066",
        "<meta http-equiv=refresh",
        "HTML source; it is not rendered here",
        "more characters",
        "onload=document.title='ran'>",
    ] {
        assert!(shown.contains(words), "{words:?} is not in {shown}");
    }
    assert!(!page.chars().any(|c| matches!(c, '\0' | '\u{202e}' | '\u{200b}' | '\u{2066}')));
    assert_eq!(page.matches("<title>").count(), 1);

    lab.write("box.mbox", [b"From x Mon Nov 30 10:00:00 2026\n".as_slice(), &message(9)].concat());
    lab.run(&["scan", "--html", "scan.html", "box.mbox"]);
    let page = fs::read_to_string(lab.path("scan.html")).unwrap();
    assert_harmless(&page);
}

#[test]
fn a_page_stays_small() {
    let lab = Lab::with_keys(&["alice"]);
    let mut large = b"From: a@example.org\nContent-Type: multipart/mixed; boundary=b\n\n".to_vec();
    for _ in 0..500 {
        large.extend_from_slice(b"--b\nContent-Type: text/plain\n\n");
        large.extend_from_slice(&vec![1; 20_000]);
        large.push(b'\n');
    }
    large.extend_from_slice(b"--b--\n");
    lab.write("large.eml", large);
    lab.run(&["verify", "--html", "page.html", "large.eml"]).code(1);
    let page = String::from_utf8(lab.read("page.html")).unwrap();
    assert_harmless(&page);
    assert!(page.len() < 4 << 20, "{} octets", page.len());
    assert!(text(&page).contains("the rest is left out"));
}
