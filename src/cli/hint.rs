//! Which command or option does what a hint of the library says.

use postseal::base::{Hint, KeyForm};

use super::ask;

/// One line; what a reader types is in it.
pub(crate) fn words(hint: &Hint) -> String {
    match hint {
        Hint::AgreeToTerms => {
            "read them, and agree with --accept-terms; in a configuration: terms-agreed = true".to_owned()
        }
        Hint::BeginAudit => "put it back, or `postseal audit init` begins another one, which says what is lost".to_owned(),
        Hint::BindAccount => {
            "the authority gives a key identifier and a MAC key to its customers: --eab-kid ID --eab-key FILE".to_owned()
        }
        Hint::CheckStore => {
            "`postseal key check` lists what is damaged, and with --repair repairs what can be repaired".to_owned()
        }
        Hint::ConfirmKey { key, address } => format!("if the fingerprint is right: postseal key trust {key} {address}"),
        Hint::EraseRemoved => "`postseal key check --repair` erases them when the other process is done".to_owned(),
        Hint::FindCertificate(address) => {
            format!("import one: postseal key import FILE, then postseal key trust ID {address}")
        }
        Hint::FindCertificates => {
            "for each of them: postseal key import FILE, then postseal key trust ID ADDRESS".to_owned()
        }
        Hint::FindSigningKey { address, kind, has_others } => {
            let options = match kind {
                KeyForm::Rsa => " -f smime --algorithm rsa2048",
                KeyForm::X509 => " -f smime",
                _ => "",
            };
            let trust = if *has_others { format!(", then postseal key trust ID {address}") } else { String::new() };
            format!("postseal key generate{options} {address}, or postseal key import FILE{trust}")
        }
        Hint::GivePin => {
            "name a file with it: --pin-file FILE, pin of [[token]] in the configuration, or pin-source in the URI"
                .to_owned()
        }
        Hint::ImportAgain => "import it again: `postseal key import`".to_owned(),
        Hint::ImportOldHome => {
            "give another --home, and `postseal key import` the files in certs and secrets".to_owned()
        }
        Hint::ImportRevocations => "`postseal key import` keeps them".to_owned(),
        Hint::ImportSecretKey => "import the secret key of one of them, or name its file with --keys".to_owned(),
        Hint::ImportWithCertificate => {
            "import the certificate too: postseal key import CERTIFICATE REVOCATION".to_owned()
        }
        Hint::ListKeys => "`postseal key list` shows what is here".to_owned(),
        Hint::MakeHome => {
            "`postseal --home DIR key generate ADDRESS` or `key import FILE` makes it; without keys: home-must-exist = false"
                .to_owned()
        }
        Hint::NameSigner => "name the signer: --as ADDRESS".to_owned(),
        Hint::Passphrase if ask::is_possible() => "give the passphrase with --passphrase-file".to_owned(),
        Hint::Passphrase => "there is no terminal to ask at; give the passphrase with --passphrase-file".to_owned(),
        Hint::ReadLegacy => "--legacy opens it for this run; its content may have been modified".to_owned(),
        Hint::RemoveSecret => {
            "what was encrypted to it can then never be read again; if you are sure, add --secret".to_owned()
        }
        Hint::RepairStore => {
            "`postseal key check --repair` repairs what can be repaired, and names what is lost".to_owned()
        }
        Hint::TrustAgain => "say it again with `postseal key trust`".to_owned(),
        Hint::TrustKey(address) => {
            format!("compare fingerprints with the owner, then: postseal key trust ID {address}")
        }
        Hint::UndoRevocation => "`postseal key revoke --undo ID` takes that back".to_owned(),
        Hint::UseCipher(name) => format!("--cipher {name}"),
        Hint::UseDigest(names) => format!("--digest {}", names.join(", or ")),
        Hint::UseOpaque => "leave the shape out, or use --opaque".to_owned(),
        Hint::UseProtocol(names) => names.iter().map(|name| format!("-f {name}")).collect::<Vec<_>>().join(" or "),
        Hint::WriteLegacy => "--legacy allows it, for recipients whose software supports nothing newer".to_owned(),
        Hint::WriteUser => {
            "`postseal config user NAME` writes such a line; so does `doveadm pw -s ARGON2ID`".to_owned()
        }
        hint => hint.to_string(),
    }
}
