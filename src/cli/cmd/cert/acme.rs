//! `cert acme`: a certificate from an authority that speaks ACME.

use std::{
    io::Write,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueHint};
use postseal::{
    acme::{Challenge, Enrolment, ExternalBinding, Order, Progress, Proof, Settings, Terms, Writing, is_challenge},
    base::{Error, Kind, Result, Secret, SystemRandom},
    config,
    mail::Mail,
    service::sendmail_next_hop,
    store::{Change, Keystore},
    verdict::Standing,
};

use crate::cli::{
    cmd::{
        config::path,
        key::{
            generate::{CertifiedShape, held_or_new},
            show::{change, word},
        },
    },
    input,
    output::{Output, Privacy},
    session::Session,
    show::{aside, data, hint, progress},
};

/// `cert acme`.
#[derive(Args, Debug)]
pub(super) struct Acme {
    /// The directory of the authority: https://ca.example/acme/directory (http on loopback alone); once there is an order, that of the order
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    server: Option<String>,
    /// Root certificates of its HTTPS server, in PEM [default: those of this machine]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    server_roots: Option<PathBuf>,
    /// Agree to the terms of service of the authority
    #[arg(long)]
    accept_terms: bool,
    /// An address for news of the authority about the account [default: ADDRESS]
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<String>,
    /// The key identifier of the customer at the authority, where it asks for one (external account binding)
    #[arg(long, value_name = "ID", requires = "eab_key")]
    eab_kid: Option<String>,
    /// The file with the MAC key to it, in base64url
    #[arg(long, value_name = "FILE", requires = "eab_kid", value_hint = ValueHint::FilePath)]
    eab_key: Option<PathBuf>,
    #[command(flatten)]
    shape: CertifiedShape,
    /// Answer the challenge: the mail that the authority sent to the address; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    challenge: Option<PathBuf>,
    /// A host whose Authentication-Results are trusted to say that DKIM is good: its authserv-id, beside those of the configuration
    #[arg(long, value_name = "HOST", requires = "challenge")]
    verified_by: Vec<String>,
    /// Answer a challenge that nothing but its From shows to be from the authority
    #[arg(long, requires = "challenge", conflicts_with = "verified_by")]
    unverified: bool,
    /// Write the answer to this file instead of sending it; send it, and call this again
    #[arg(short, long, value_name = "OUT", requires = "challenge", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// The configuration whose [upstream] or [sendmail] sends the answer [default: $POSTSEAL_CONFIG, or /etc/postseal/postseal.toml]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// Wait at most so many seconds for the authority
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    wait: u64,
    /// Forget the order in progress
    #[arg(long, conflicts_with_all = ["challenge", "server"])]
    cancel: bool,
    /// The address
    #[arg(value_name = "ADDRESS")]
    address: String,
}

/// Takes the next steps of the order for the address, or makes one.
pub(super) fn run(what: &Acme, session: &Session) -> Result<()> {
    let configured = match &what.config {
        Some(file) => Some(session.configured(&config::load(file)?)?),
        None => None,
    };
    let session = configured.as_ref().unwrap_or(session);
    let (home, address) = (session.home()?, input::address(&what.address)?);
    let _lock = home.lock_sealed_files()?;
    let order = match Order::of(&address, &home)? {
        // With the lock held, no other process is at it.
        Some(order) if order.is_opening() => order.forget(&home).map(|()| None)?,
        order => order,
    };
    if what.cancel {
        let none = || Error::no_key(format!("{address}: no order is in progress"));
        return order.ok_or_else(none)?.forget(&home);
    }
    let directory = order.as_ref().map(|order| order.directory.clone()).or_else(|| what.server.clone());
    let directory = directory.ok_or_else(|| {
        Error::usage(format!("{address}: no order is in progress")).with_hint("--server URL makes one")
    })?;
    if what.server.as_ref().is_some_and(|server| *server != directory) {
        let known = format!("{address}: an order is in progress at {directory}");
        return Err(Error::usage(known).with_hint("--cancel forgets it"));
    }
    let settings = what.settings(directory)?;
    let progress = progress::begin("asking the authority");
    let enrolment = Enrolment::open(&settings, &home, session.clock().now(), session.limits().network)?;
    let run = Run { what, session, home: &home, enrolment };
    let order = match order {
        Some(order) => order,
        None if what.challenge.is_some() => {
            return Err(Error::usage(format!("{address}: no order is in progress that a challenge could belong to")));
        }
        None => {
            drop(progress);
            let record = held_or_new("cert acme", &what.address, &what.shape, &home, session)?;
            let order = run.enrolment.order(&address, &record)?;
            aside(&format!("a certificate for {address} is ordered at {}\n", order.directory));
            order
        }
    };
    match &what.challenge {
        Some(file) => run.answer(order, file),
        None if order.waits_for_mail() => run.tell(&order),
        None => run.finish(order),
    }
}

struct Run<'a> {
    what: &'a Acme,
    session: &'a Session,
    home: &'a Keystore,
    enrolment: Enrolment<'a>,
}

impl Run<'_> {
    /// Says what the authority waits for.
    fn tell(&self, order: &Order) -> Result<()> {
        let (address, from) = (order.address()?, order.from()?);
        data(&format!("waiting for the mail of {from} to {address}\n"))?;
        hint(&format!("when it comes: postseal cert acme {address} --challenge FILE"));
        Ok(())
    }

    fn answer(&self, mut order: Order, file: &Path) -> Result<()> {
        let mut budget = self.session.budget();
        let message = input::message(Some(file), &mut budget)?;
        if !is_challenge(message.root()) {
            return Err(Error::malformed(file.display(), "not a challenge: its subject does not begin with ACME:"));
        }
        let opening = self.session.open(message)?;
        let (verdict, mut hosts) = (opening.verdict(), self.what.verified_by.clone());
        let configured = config::load(&path(self.what.config.as_deref()));
        hosts.extend(configured.iter().flat_map(|config| config.authserv_ids.iter().cloned()));
        let proof = match verdict.author() {
            Ok(author) if verdict.standing() == Standing::Authentic => Proof::Signature(author, opening.header()),
            _ if self.what.unverified => Proof::Waived,
            _ => Proof::Dkim(&hosts),
        };
        let challenge = Challenge::read(opening.outer().root(), &order.address()?, &proof);
        let challenge = challenge.map_err(|why| Error::malformed(file.display(), format!("not answered: {why}")))?;
        let random = SystemRandom;
        let writing = Writing { clock: self.session.clock(), random: &random, limits: self.session.limits() };
        let before = order.clone();
        let mail = self.enrolment.reply(&mut order, &challenge, &writing)?;
        let sent = match &self.what.output {
            Some(output) => write(&mail, output),
            None => configured.and_then(|config| send(&config, &mail)),
        };
        if let Err(error) = sent {
            before.keep(self.home)?;
            return Err(error);
        }
        if self.what.output.is_some() {
            hint(&format!("send it, and then: postseal cert acme {}", order.address()?));
            return Ok(());
        }
        aside(&format!("the answer is sent; waiting for {}\n", order.directory));
        self.finish(order)
    }

    /// Waits for the certificate, and imports it.
    fn finish(&self, mut order: Order) -> Result<()> {
        let _progress = progress::begin("waiting for the certificate");
        let address = order.address()?;
        self.enrolment.answered(&mut order)?;
        let end = Instant::now() + Duration::from_secs(self.what.wait);
        let mut pause = FIRST_PAUSE;
        loop {
            match self.enrolment.advance(&order)? {
                Progress::Issued(certificates) => {
                    let issued = order.install(&certificates, self.home, self.session.clock().now())?;
                    order.forget(self.home)?;
                    return data(&change(word(Change::Added), &issued));
                }
                Progress::Failed(why) => {
                    order.forget(self.home)?;
                    return Err(Error::no_key(format!("{address}: the authority issues no certificate: {why}")));
                }
                Progress::Waiting(asked) => {
                    let pause = asked.unwrap_or(pause);
                    if Instant::now() + pause > end {
                        let late = format!("{address}: the authority is not done");
                        return Err(Error::new(Kind::TryAgain, late).with_hint("call this again later"));
                    }
                    thread::sleep(pause);
                }
            }
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }
}

impl Acme {
    fn settings(&self, directory: String) -> Result<Settings> {
        let binding = match (&self.eab_kid, &self.eab_key) {
            (Some(id), Some(file)) => {
                let key = std::fs::read(file).map_err(|error| Error::io(file.display(), &error))?;
                Some(ExternalBinding { id: id.clone(), key: Secret::new(key) })
            }
            _ => None,
        };
        Ok(Settings {
            directory,
            roots: self.server_roots.clone(),
            contact: Some(input::address(self.contact.as_ref().unwrap_or(&self.address))?),
            terms: if self.accept_terms { Terms::Agreed } else { Terms::NotAgreed },
            binding,
        })
    }
}

fn write(mail: &Mail, output: &Path) -> Result<()> {
    let mut output = Output::create(Some(output), &[], Privacy::Umask)?;
    output.write_all(mail.message.octets()).map_err(|error| Error::io("output", &error))?;
    output.commit()
}

fn send(config: &config::Config, mail: &Mail) -> Result<()> {
    let random: std::sync::Arc<dyn postseal::base::Random> = std::sync::Arc::new(SystemRandom);
    Ok(sendmail_next_hop(config, &random)?.send(mail)?)
}

/// Between the first two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Between two questions at most, unless the authority asks for more.
const LAST_PAUSE: Duration = Duration::from_secs(5);
