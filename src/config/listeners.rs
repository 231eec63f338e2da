//! The `[[listener]]` tables.

use std::path::Path;

use super::{
    Auth, Copies, Grade, Identity, Listener, ListenerKind, Mention, Problem, SecretFrom, Strangers, Tls, Vrfy, What,
    reader::Reader, table::Table,
};
use crate::{
    base::{Network, Result},
    transport::{Endpoint, smtp::BareLf},
};

/// Reads every `[[listener]]`. `known` are the networks whose clients need no login.
pub(super) fn read(reader: &mut Reader<'_>, root: &Table<'_>, known: &[Network]) -> Vec<Listener> {
    reader.listeners(root, known)
}

impl Reader<'_> {
    fn listeners(&mut self, root: &Table<'_>, known: &[Network]) -> Vec<Listener> {
        let mut listeners: Vec<Listener> = Vec::new();
        // Where copies go is where other mail goes.
        let is_copied = root.has("sendmail") || root.has("upstream");
        let copies = if is_copied { Copies::Submit } else { Copies::Tempfail };
        for table in root.tables("listener") {
            let line = table.line_of("address");
            let Some(listener) = self.listener(table, copies) else { continue };
            if listeners.iter().any(|other| other.endpoint == listener.endpoint) {
                self.document.error(line, format!("address {}: another listener has it", listener.endpoint));
            }
            if listener.kind == ListenerKind::Milter
                && matches!(&listener.endpoint, Endpoint::Tcp(at) if !at.ip().is_loopback())
            {
                let message = format!("address {}: a milter trusts every client that can connect", listener.endpoint);
                self.document.add(Problem { line, grade: Grade::Warning, message, hint: None });
            }
            if let Some((message, hint)) = without_next_hop(&listener, root) {
                let hint = Some(hint.into());
                self.document.add(Problem { line, grade: Grade::Error, message: message.to_owned(), hint });
            }
            if serves_nobody(&listener, known) {
                let message = format!("address {}: no client may submit here", listener.endpoint);
                let hint =
                    "auth = \"here\" or \"relay\", [trusted] networks, or kind = \"relay\" for mail from other servers";
                self.document.add(Problem { line, grade: Grade::Error, message, hint: Some(hint.into()) });
            }
            listeners.push(listener);
        }
        listeners
    }

    fn listener(&mut self, table: Table<'_>, default: Copies) -> Option<Listener> {
        let kinds = [
            ("lmtp", ListenerKind::Lmtp),
            ("milter", ListenerKind::Milter),
            ("relay", ListenerKind::Relay),
            ("submission", ListenerKind::Submission),
        ];
        let kind = table.required("kind").and_then(|kind| self.document.word(&kind, "kind of listener", &kinds));
        let address = table.required("address");
        let endpoint = address.and_then(|text| self.document.read(&text, |text| listening(text, self.directory)));
        let tls = self.tls(&table);
        let auth = self.auth(&table);
        let words = [("aliases", Vrfy::Aliases), ("lists", Vrfy::Lists), ("refuse", Vrfy::Refuse)];
        let vrfy = self.choice(&table, "vrfy", Vrfy::Refuse, &words);
        let words = [("normalize", BareLf::Normalize), ("reject", BareLf::Reject)];
        let bare_lf = self.choice(&table, "bare-lf", BareLf::Reject, &words);
        let copies = [("submit", Copies::Submit), ("tempfail", Copies::Tempfail)];
        if kind == Some(ListenerKind::Milter) && default == Copies::Tempfail && !table.has("copies") {
            let message =
                "copies: a message whose recipients need different copies would be put off, and refused after a day";
            let hint = Some("[sendmail] program or [upstream] for the copies, or copies = \"tempfail\"".into());
            let (line, message) = (table.line, message.to_owned());
            self.document.add(Problem { line, grade: Grade::Warning, message, hint });
        }
        let copies = self.choice(&table, "copies", default, &copies);
        let strangers = match table.truth("strangers") {
            Some(true) => Strangers::Accept,
            Some(false) | None => Strangers::Refuse,
        };
        // A mail server may compare the login with the sender before it speaks LMTP.
        let is_checked = kind == Some(ListenerKind::Lmtp) && auth == Some(Auth::Sender);
        let is_used = [
            ("auth", !is_checked && auth.as_ref().is_some_and(|auth| *auth != Auth::None)),
            ("strangers", table.has("strangers")),
        ];
        for (key, _) in is_used.into_iter().filter(|(_, is_used)| *is_used) {
            if kind.is_some_and(|kind| kind != ListenerKind::Submission) {
                let message = format!("{key}: only a listener of kind \"submission\" knows it");
                self.document.error(table.line_of(key), message);
            }
        }
        table.finish();
        Some(Listener { kind: kind?, endpoint: endpoint?, tls: tls?, auth: auth?, strangers, vrfy, bare_lf, copies })
    }

    fn auth(&mut self, table: &Table<'_>) -> Option<Auth> {
        let word = self.choice(
            table,
            "auth",
            "none",
            &[("here", "here"), ("none", "none"), ("relay", "relay"), ("sender", "sender")],
        );
        match (word, table.string("users")) {
            ("here", Some(users)) => Some(Auth::Here(self.place(&users, What::Users))),
            ("here", None) => {
                self.document.error(table.line_of("auth"), "auth: \"here\" needs users, a file");
                None
            }
            (_, Some(users)) => {
                self.document.error(users.line, "users: goes with auth = \"here\"");
                None
            }
            ("relay", None) => Some(Auth::Relay),
            ("sender", None) => Some(Auth::Sender),
            (_, None) => Some(Auth::None),
        }
    }

    fn tls(&mut self, table: &Table<'_>) -> Option<Tls> {
        let mode = table.string("tls").filter(|mode| mode.value != "none");
        let files = [table.string("certificate"), table.string("key")];
        let Some(mode) = mode else {
            if let Some(file) = files.into_iter().flatten().next() {
                self.document.error(file.line, "a certificate or key, but no tls = \"starttls\" or \"implicit\"");
            }
            return Some(Tls::None);
        };
        let implicit = self.document.word(&mode, "kind of tls", &[("implicit", true), ("starttls", false)])?;
        let [Some(certificate), Some(key)] = files else {
            self.document.error(table.line_of("tls"), "tls: needs certificate and key");
            return None;
        };
        let line = certificate.line;
        let certificate = self.place(&certificate, What::File);
        let key = self.place(&key, |path| What::Secret(SecretFrom::File(path)));
        let identity = Identity { certificate, key };
        self.mentions.push(Mention { line, what: What::Identity(identity.clone()) });
        Some(if implicit { Tls::Implicit(identity) } else { Tls::Starttls(identity) })
    }
}

/// Whether no client could send a message. A client at a local socket is a peer, and systemd may open one.
fn serves_nobody(listener: &Listener, known: &[Network]) -> bool {
    let is_closed = listener.kind == ListenerKind::Submission && listener.strangers == Strangers::Refuse;
    is_closed && listener.auth == Auth::None && known.is_empty() && matches!(listener.endpoint, Endpoint::Tcp(_))
}

/// What is missing for the mail that leaves a listener, and a hint.
fn without_next_hop(listener: &Listener, root: &Table<'_>) -> Option<(&'static str, &'static str)> {
    match (listener.kind, listener.copies) {
        (ListenerKind::Milter, Copies::Tempfail) => None,
        (ListenerKind::Milter, Copies::Submit) if root.has("upstream") || root.has("sendmail") => None,
        (ListenerKind::Milter, Copies::Submit) => Some((
            "copies: no next hop for them is configured",
            "[upstream] smart-host = \"127.0.0.1:25\", or [sendmail] program",
        )),
        _ if root.has("upstream") => None,
        _ => Some(("upstream: no server for the mail of this listener", "[upstream] smart-host = \"127.0.0.1:10026\"")),
    }
}

/// `127.0.0.1:25`, `[::1]:25`, `unix:/run/postseal/milter`, `systemd:NAME`.
fn listening(text: &str, directory: &Path) -> Result<Endpoint> {
    match text.strip_prefix("unix:") {
        Some(path) => Ok(Endpoint::Unix(directory.join(path))),
        None => Endpoint::parse(text),
    }
}
