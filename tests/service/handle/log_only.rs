//! Rules, and a whole policy, that only say what they would do.

use std::sync::Arc;

use postseal::{
    base::{Error, Kind, Result},
    crypto::SecretKey,
    engine::{Handler, HandlerConfig, Outcome, ReloadableHandler},
    keys::{Handle, Keys, Memory, ProtocolName, Query, Record},
    mail::Submitter,
    policy::{Action, Disposition, Forward, LOG_ONLY, MailboxCopy, Mode, Obstacle, Order, Policy, ReturnPath, Trial},
};

use super::recipients;
use crate::support::handler::{LETTER, address, alice, hook, keys, mail, policy, rule, text};

fn with(policy: Policy) -> ReloadableHandler {
    ReloadableHandler::new(HandlerConfig { policy, ..HandlerConfig::clone(&hook().config()) })
}

fn trials(outcome: &Outcome) -> Vec<(&str, &str, Vec<String>)> {
    let told = |Trial { group, .. }: &Trial| group.recipients.iter().map(|path| path.address.to_string()).collect();
    let all = outcome.decision.trials.iter();
    all.map(|one| (one.group.rule.as_str(), one.instead.as_str(), told(one))).collect()
}

#[test]
fn mail_goes_by_the_rules_after_a_log_only_one() {
    let mut policy = policy();
    policy.rules.iter_mut().filter(|rule| rule.name == "partner").for_each(|rule| rule.mode = Mode::LogOnly);
    policy.rules.push(rule("rest", Vec::new(), &[Order::Clear], &[]));
    let everyone = ["bob@example.net", "carol@bank.example", "dora@example.net", "ben@example.net"];
    let outcome = with(policy.clone()).handle(mail(alice(), &everyone, LETTER)).unwrap();
    let of = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    // One copy in clear for three, although two of them would each get a ciphertext.
    let groups: Vec<(Vec<String>, &str)> =
        outcome.copies().map(|(group, mail)| (recipients(mail), group.rule.as_str())).collect();
    let in_clear = of(&["bob@example.net", "dora@example.net", "ben@example.net"]);
    assert_eq!(groups, [(in_clear, "rest"), (of(&["carol@bank.example"]), "bank")]);
    assert!(text(&outcome.mails[0]).ends_with("\r\n\r\nhello\r\n"), "{}", text(&outcome.mails[0]));
    assert_eq!(
        trials(&outcome),
        [
            ("partner", "rest", of(&["bob@example.net", "ben@example.net"])),
            ("partner", "rest", of(&["dora@example.net"]))
        ]
    );
    let [sealed, refused] = outcome.decision.trials.as_slice() else { panic!("{:?}", outcome.decision) };
    assert_eq!(sealed.group.actions, [Action::SignAndEncrypt(ProtocolName::Pgp)]);
    assert_eq!(refused.group.obstacle, Some(Obstacle::MissingKey));
    assert!(matches!(refused.group.disposition, Disposition::Reject(_)));

    // What it would open stays closed.
    let sealed = hook().handle(mail(alice(), &["bob@example.net"], LETTER)).unwrap().mails.remove(0);
    let mut inbound = policy;
    inbound.rules.iter_mut().filter(|rule| rule.name == "in").for_each(|rule| rule.mode = Mode::LogOnly);
    inbound.local.push(postseal::policy::Pattern::parse("example.net").unwrap());
    let arrived = || mail(Submitter::Unknown, &["bob@example.net"], sealed.message.octets().to_vec());
    let outcome = with(inbound.clone()).handle(arrived()).unwrap();
    assert!(!text(&outcome.mails[0]).contains("hello\r\n"), "{}", text(&outcome.mails[0]));
    assert_eq!(trials(&outcome), [("in", "rest", of(&["bob@example.net"]))]);
    inbound.rules.iter_mut().for_each(|rule| rule.mode = Mode::Enforce);
    let opened = with(inbound).handle(arrived()).unwrap();
    assert!(text(&opened.mails[0]).contains("hello\r\n"), "the same rule opens it when it is enforced");
}

#[test]
fn a_log_only_policy_delivers_every_mail_as_it_came() {
    let policy = Policy { mode: Mode::LogOnly, ..policy() };
    let everyone = ["bob@example.net", "carol@bank.example", "dora@example.net", "alice@example.org"];
    // Another program may have written it in the name of this host: without postseal it arrives.
    let letter = format!("Authentication-Results: mx.example.org; dkim=pass\r\n{LETTER}");
    let outcome = with(policy.clone()).handle(mail(alice(), &everyone, letter.clone())).unwrap();
    let delivered = outcome.transactions();
    assert_eq!(delivered.len(), 1);
    assert_eq!((text(&delivered[0]), recipients(&delivered[0])), (letter, everyone.map(str::to_owned).to_vec()));
    assert!(outcome.refusal().is_none() && outcome.decision.groups.iter().all(|group| group.rule == LOG_ONLY));
    let found = trials(&outcome);
    assert!(found.iter().all(|(_, instead, _)| *instead == LOG_ONLY), "{found:?}");
    let tried: Vec<&str> = found.iter().map(|(rule, ..)| *rule).collect();
    assert_eq!(tried, ["partner", "bank", "partner", "no rule"]);
    // Strangers are not refused, their mail is not annotated, and a passphrase goes to nobody.
    let secret = "X-Postseal-Passphrase: correct horse battery\r\n";
    let outcome = with(policy.clone()).handle(mail(alice(), &["x@else.example"], format!("{secret}{LETTER}"))).unwrap();
    assert_eq!(text(&outcome.mails[0]), LETTER);
    let outcome = with(policy.clone()).handle(mail(Submitter::Unknown, &["x@else.example"], LETTER)).unwrap();
    assert_eq!((text(&outcome.mails[0]).as_str(), outcome.refusal().is_none()), (LETTER, true));

    // What would go on from an address stays there.
    let forward = Forward {
        of: address("alice@example.org"),
        to: vec![address("far@else.example")],
        mailbox: MailboxCopy::None,
        sender: ReturnPath::Keep,
        rule: rule("forward of alice@example.org", Vec::new(), &[Order::Clear], &[]),
    };
    let mut forwarding = policy.clone();
    forwarding.forwards.insert(forward);
    let outcome = with(forwarding).handle(mail(Submitter::Unknown, &["alice@example.org"], LETTER)).unwrap();
    assert_eq!(recipients(&outcome.mails[0]), ["alice@example.org"]);
    let [Trial { group, .. }] = outcome.decision.trials.as_slice() else { panic!("{:?}", outcome.decision) };
    assert_eq!(group.recipients[0].address, address("far@else.example"));
    assert_eq!(group.origin.to_string(), "forward of alice@example.org");

    // Keys that cannot be asked delay nothing.
    let config = HandlerConfig { policy, keys: Arc::new(Broken(keys())), ..HandlerConfig::clone(&hook().config()) };
    let outcome = ReloadableHandler::new(config).handle(mail(alice(), &everyone, LETTER)).unwrap();
    assert_eq!((text(&outcome.mails[0]).as_str(), outcome.transactions().len()), (LETTER, 1));
}

/// Answers nothing.
struct Broken(Memory);

impl Keys for Broken {
    fn find(&self, _: ProtocolName, _: &Query<'_>) -> Result<Vec<Arc<Record>>> {
        Err(Error::new(Kind::Io, "home: no such device"))
    }

    fn secret(&self, record: &Record, key: &Handle) -> Result<Option<Arc<dyn SecretKey>>> {
        self.0.secret(record, key)
    }
}
