//! `cert acme`, with the challenge as a file.

use std::{thread, time::Duration};

use crate::support::{acme::Authority, lab::Done};

/// `cert acme` for alice.
fn acme(authority: &Authority, arguments: &[&str]) -> Done {
    authority.lab.run(&[&["cert", "acme", "alice@example.org"], arguments].concat())
}

#[test]
fn a_certificate_is_ordered_proven_by_mail_and_renewed() {
    let Some(authority) = Authority::start("[[rule]]\nname = \"all\"\naction = \"clear\"\n") else { return };
    let (lab, directory) = (&authority.lab, authority.directory());
    let order = ["--server", &directory, "--no-passphrase"];
    let customer = ["--eab-kid", "customer", "--eab-key", "eab-key"];
    // Without consent to its terms, and without its customer's key, it is asked for nothing.
    acme(&authority, &order).refused(77, "its terms of service are at http://127.0.0.1/terms");
    let agreed = [&order[..], &["--accept-terms"]].concat();
    let done = acme(&authority, &agreed).code(77);
    assert!(done.stderr.contains("--eab-kid ID --eab-key FILE"), "{done:?}");
    let done = acme(&authority, &[&agreed[..], &customer].concat()).code(0);
    assert_eq!(done.text(), "waiting for the mail of bob@example.org to alice@example.org\n", "{done:?}");
    // The order waits, also in another process.
    assert_eq!(acme(&authority, &[]).code(0).text(), done.text());

    lab.write("challenge.eml", authority.mail("alice@example.org", 1));
    let answer = ["--challenge", "challenge.eml", "-c", "reply.toml"];
    let configuration = String::from_utf8(lab.read("mx.toml")).unwrap().replace("mx-home", "home");
    lab.write("reply.toml", configuration);
    acme(&authority, &answer).refused(65, "no host is trusted to verify DKIM");
    let done = acme(&authority, &[&answer[..], &["--unverified"]].concat()).code(0);
    assert!(done.text().contains("alice@example.org with its secret key"), "{done:?} {}", authority.log());
    let reply = String::from_utf8(authority.mail("bob@example.org", 1)).unwrap();
    assert!(reply.contains("In-Reply-To: <") && reply.contains("Subject: Re: ACME: "), "{reply}");
    assert!(acme(&authority, &[]).code(64).stderr.contains("no order is in progress"));

    // It signs with the new certificate, and others see that it is good.
    let exported =
        lab.shell("\"$0\" key list | grep -c alice; \"$0\" key export alice@example.org -f smime -o all.pem");
    assert_eq!(exported.code(0).text(), "2\n");
    lab.write("plain.eml", "From: alice@example.org\nTo: bob@example.org\nSubject: x\n\nhello\n");
    lab.run(&["sign", "-f", "smime", "-o", "signed.eml", "plain.eml"]).code(0);
    let verified = lab.shell("openssl cms -verify -in signed.eml -CAfile ca/ca.pem -purpose smimesign -signer signer.pem -out /dev/null && openssl x509 -in signer.pem -noout -issuer -serial");
    let first = verified.code(0).text();
    assert!(first.contains("CN = ca") || first.contains("CN=ca"), "{first}");

    // Renewed for the same key: the newest certificate signs. Certificates have the second of their start, and not more.
    thread::sleep(Duration::from_millis(1_100));
    acme(&authority, &["--server", &directory]).code(0);
    lab.write("challenge.eml", authority.mail("alice@example.org", 2));
    acme(&authority, &[&answer[..], &["--unverified"]].concat()).code(0);
    lab.run(&["sign", "-f", "smime", "-o", "again.eml", "plain.eml"]).code(0);
    let verified = lab.shell("openssl cms -verify -in again.eml -CAfile ca/ca.pem -purpose smimesign -signer signer.pem -out /dev/null && openssl x509 -in signer.pem -noout -issuer -serial");
    assert_ne!(verified.code(0).text(), first);
}
