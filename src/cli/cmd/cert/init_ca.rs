//! `postseal cert init-ca`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use postseal::{
    base::{Error, Result, SystemRandom},
    crypto::{MlDsa, SlhDsa},
    keys::{Keys as _, ProtocolName, Query, Want},
    protocol::smime::{
        authority::{NewAuthority, Places, authorities, create},
        generate::Algorithm,
        record::certificate,
    },
    store::NewKey,
};

use crate::cli::{
    cmd::key::{grouped, line, validity::span},
    passphrase,
    session::Session,
    show::{aside, hint, progress},
};

#[derive(Args, Debug)]
pub(super) struct InitCa {
    /// A domain that it may issue certificates for: example.org, or .example.org for all below it [default: any address]
    #[arg(long, value_name = "DOMAIN")]
    domain: Vec<String>,
    /// Where the revocation list will be published: http://pki.example.org/ca.crl
    #[arg(long, value_name = "URL")]
    crl_url: Vec<String>,
    /// Where the certificate of the authority will be published, in DER
    #[arg(long, value_name = "URL")]
    issuer_url: Vec<String>,
    /// The algorithm of its key
    #[arg(long, value_enum, default_value = "p384")]
    algorithm: Kind,
    /// The validity period: 90d, 6m, 10y
    #[arg(long, value_name = "TIME", default_value = "10y", value_parser = span)]
    expires: Duration,
    /// Do not lock the secret key with a passphrase [default: the first line of --passphrase-file, or a prompt]
    #[arg(long, conflicts_with_all = ["passphrase_file", "passphrase_fd", "passphrase_command"])]
    no_passphrase: bool,
    /// Its name, which recipients see
    name: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    #[value(name = "ml-dsa-65")]
    MlDsa65,
    #[value(name = "ml-dsa-87")]
    MlDsa87,
    P384,
    P521,
    Rsa3072,
    Rsa4096,
    #[value(name = "slh-dsa-sha2-128s")]
    SlhDsaSha2128s,
}

/// Makes an authority.
pub(super) fn init_ca(what: &InitCa, session: &Session) -> Result<()> {
    let home = session.home()?;
    let passphrase = match what.no_passphrase {
        true => None,
        false => {
            Some(passphrase::new("cert init-ca", "the certification authority", ", or say --no-passphrase", session)?)
        }
    };
    let new = NewAuthority {
        algorithm: match what.algorithm {
            Kind::MlDsa65 => Algorithm::MlDsa(MlDsa::MlDsa65),
            Kind::MlDsa87 => Algorithm::MlDsa(MlDsa::MlDsa87),
            Kind::P384 => Algorithm::P384,
            Kind::P521 => Algorithm::P521,
            Kind::Rsa3072 => Algorithm::Rsa3072,
            Kind::Rsa4096 => Algorithm::Rsa4096,
            Kind::SlhDsaSha2128s => Algorithm::SlhDsa(SlhDsa::Sha2_128s),
        },
        name: what.name.clone(),
        domains: what.domain.clone(),
        places: Places { crl: what.crl_url.clone(), issuer: what.issuer_url.clone() },
        passphrase,
        validity: what.expires,
    };
    let made = {
        let _progress = progress::begin("making a key");
        create(&new, session.clock(), &SystemRandom)?
    };
    let (fingerprint, own) = (made.record.fingerprint().clone(), certificate(&made.record)?);
    for other in authorities(&home)? {
        // Certificates and lists name their issuer: with two of one name, programs would try the wrong key.
        if certificate(&other)?.subject() == own.subject() {
            return Err(Error::usage(format!("{:?}: the authority {} has this name", what.name, other.fingerprint())));
        }
    }
    home.take_new(vec![NewKey::of_authority(made)], session.clock().now())?;
    for record in home.find(ProtocolName::Smime, &Query::manage(Want::Certificate(&fingerprint)))? {
        line(&record, &home, session)?;
    }
    aside(&format!("its fingerprint, which others compare: {}\n", grouped(&fingerprint)));
    aside(&format!("give it to them: `postseal key export -o ca.pem {fingerprint}`\n"));
    hint("they trust it with `postseal key import --anchor ca.pem`");
    Ok(())
}
