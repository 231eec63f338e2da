//! How a rule seals, where it says more than that it does.

use postseal::{
    engine::{Handler, HandlerConfig, ReloadableHandler},
    keys::ProtocolName,
    mail::Mail,
    policy::{Order, Sealing},
    protocol::{Aead, Headers, Shape},
};

use crate::support::handler::{LETTER, address, alice, hook, keys, mail, rule, text, to};

/// What each recipient gets by rules of their own.
fn sealed(rules: &[(&str, ProtocolName, Sealing)]) -> Vec<Mail> {
    let mut setup = HandlerConfig::clone(&hook().config());
    setup.policy.rules = rules
        .iter()
        .map(|(recipient, protocol, sealing)| {
            let mut rule = rule(recipient, to(recipient), &[Order::Sign, Order::Encrypt], &[*protocol]);
            rule.sealing = sealing.clone();
            rule
        })
        .collect();
    let recipients: Vec<&str> = rules.iter().map(|(recipient, ..)| *recipient).collect();
    let letter = LETTER
        .replace("Bcc: ben@example.net\r\n", "")
        .replace("Cc: list@", "Cc: ben@example.net, carl@bank.example, list@");
    ReloadableHandler::new(setup).handle(mail(alice(), &recipients, letter)).unwrap().mails
}

#[test]
fn each_rule_seals_in_its_own_way() {
    let of = |headers| Sealing { headers: Some(headers), ..Sealing::default() };
    let authenticated = Sealing { aead: Aead::Always, shape: Shape::Opaque, ..Sealing::default() };
    let mails = sealed(&[
        ("bob@example.net", ProtocolName::Pgp, Sealing::default()),
        ("ben@example.net", ProtocolName::Pgp, of(Headers::Outside)),
        ("carol@bank.example", ProtocolName::Smime, authenticated),
        ("carl@bank.example", ProtocolName::Smime, Sealing { cipher: Some("aes128".to_owned()), ..of(Headers::Shy) }),
    ]);
    let texts: Vec<String> = mails.iter().map(text).collect();
    assert_eq!(texts.len(), 4);
    let has = |at: usize, what: &str| assert!(texts[at].contains(what), "{what} is not in {}", texts[at]);
    has(0, "Subject: [...]\r\n");
    has(1, "Subject: hello\r\n");
    has(2, "smime-type=authEnveloped-data");
    has(3, "From: alice@example.org\r\n");
    has(3, "smime-type=enveloped-data");
    let everybody = keys();
    for (mail, cipher) in mails.iter().zip(["aes256", "aes256", "aes256-gcm", "aes128-cbc"]) {
        let (read, opening) = postseal::decrypt(mail.message.octets(), &everybody).unwrap();
        assert!(String::from_utf8(read).unwrap().contains("Subject: hello\r\n"));
        assert_eq!(opening.verdict().author().unwrap(), &address("alice@example.org"));
        let layers = format!("{:?}", opening.verdict().layers());
        assert!(layers.contains(&format!("cipher: \"{cipher}")), "{cipher}: {layers}");
    }
}

#[test]
fn recipients_whose_rules_seal_differently_share_no_copy() {
    let mails = sealed(&[
        ("bob@example.net", ProtocolName::Pgp, Sealing::default()),
        ("ben@example.net", ProtocolName::Pgp, Sealing { headers: Some(Headers::Clear), ..Sealing::default() }),
    ]);
    assert_eq!(mails.iter().map(|mail| mail.envelope.recipients.len()).collect::<Vec<_>>(), [1, 1]);
}
