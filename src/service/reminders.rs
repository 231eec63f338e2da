//! Tells people by mail that a key of this host ends soon: its owner, and administrators.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use tokio::{task::spawn_blocking, time::sleep};

use crate::{
    base::{Error, Result, rfc3339},
    config::{EXPIRY_PLACEHOLDERS, ExpiryNotice, Owners},
    engine::{Ending, HandlerConfig},
    mail::{Address, Mail},
    transport::{NextHop, SendError, Template, Writer, serve::Background},
};

/// What writes and sends notices.
pub(super) struct Reminders {
    config: HandlerConfig,
    /// The folder of the keys, where what was sent is written down.
    home: PathBuf,
    template: Template,
    writer: Writer,
    notice: ExpiryNotice,
}

/// Each key of which people were told, and how many days before its end.
type Told = BTreeMap<String, u64>;

impl Reminders {
    /// # Errors
    ///
    /// `Config`: the template cannot be read.
    pub(super) fn new(notice: &ExpiryNotice, home: PathBuf, config: HandlerConfig) -> Result<Reminders> {
        let template = match &notice.template {
            Some(path) => Template::read(path, EXPIRY_PLACEHOLDERS)?,
            None => Template::parse(TEXT, EXPIRY_PLACEHOLDERS).map_err(|why| Error::malformed("notice", why))?,
        };
        let writer = Writer {
            from: notice.from.clone(),
            limits: config.limits.clone(),
            clock: Arc::clone(&config.clock),
            random: Arc::clone(&config.random),
        };
        Ok(Reminders { config, home, template, writer, notice: notice.clone() })
    }

    /// Looks at the keys now and every few hours, and sends what is due.
    pub(super) fn run(self, next_hop: Box<dyn NextHop>) -> Background {
        let reminders = Arc::new(self);
        Box::pin(async move {
            loop {
                if let Err(error) = Arc::clone(&reminders).look(&*next_hop).await {
                    tracing::warn!(event = "expiry-notice-not-sent", %error);
                }
                sleep(BETWEEN).await;
            }
        })
    }

    async fn look(self: Arc<Self>, next_hop: &dyn NextHop) -> Result<()> {
        // Reading keys and waiting for the lock takes time.
        let reminders = Arc::clone(&self);
        let due = spawn_blocking(move || reminders.due()).await;
        let Due { mut file, mut told, mails } = due.map_err(|error| Error::unavailable(error.to_string()))??;
        for (key, days, mail) in mails {
            let to = mail.envelope.recipients.first().map(|path| path.address.to_string()).unwrap_or_default();
            match next_hop.send(mail).await {
                Ok(()) => {
                    tracing::info!(event = "expiry-notice", key = key.as_str(), days, to);
                    told.insert(format!("{key} {to}"), days);
                    write(&mut file, &told).map_err(|error| Error::io(self.state().display(), &error))?;
                }
                Err(error) => {
                    tracing::warn!(event = "expiry-notice-not-sent", key = key.as_str(), to, error = %sent(error))
                }
            }
        }
        Ok(())
    }

    /// What is to be sent now, with the file that no other process may use meanwhile.
    fn due(&self) -> Result<Due> {
        let place = self.state();
        let io = |error| Error::io(place.display(), &error);
        let mut file = OpenOptions::new();
        let mut file = file.read(true).write(true).create(true).truncate(false).mode(0o600).open(&place).map_err(io)?;
        file.lock().map_err(io)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let told: Told = text
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(key, days)| Some((key.to_owned(), days.parse().ok()?)))
            .collect();
        let now = self.config.clock.now();
        let mut mails = Vec::new();
        for ending in self.config.ending(days(STAGES[0]))? {
            let left = ending.at.duration_since(now).unwrap_or_default();
            let Some(stage) = STAGES.into_iter().rev().find(|stage| left <= days(*stage)) else { continue };
            for reader in self.readers(&ending) {
                let key = format!("{} {}", ending.key, ending.address);
                let before = told.get(&format!("{key} {reader}"));
                if before.is_none_or(|before| stage < *before) {
                    mails.push((key, stage, self.mail(&ending, left, reader)?));
                }
            }
        }
        Ok(Due { file, told, mails })
    }

    /// Who is told of a key: its owner at a local address, and the administrators.
    fn readers(&self, ending: &Ending) -> Vec<Address> {
        let owner = Some(&ending.address).filter(|owner| self.notice.owners == Owners::Told && self.is_local(owner));
        let mut readers: Vec<Address> = owner.into_iter().cloned().collect();
        let others = self.notice.administrators.iter().filter(|one| Some(*one) != owner);
        readers.extend(others.cloned());
        readers
    }

    fn is_local(&self, address: &Address) -> bool {
        self.config.policy.is_local(address)
    }

    fn mail(&self, ending: &Ending, left: Duration, reader: Address) -> Result<Mail> {
        let value = |name: &str| match name {
            "address" => ending.address.to_string(),
            "date" => rfc3339(ending.at).chars().take(10).collect(),
            "days" => left.as_secs().div_ceil(DAY).to_string(),
            "key" => ending.key.to_string(),
            _ => ending.protocol.name().to_owned(),
        };
        self.writer.mail(&self.template, reader, value)
    }

    fn state(&self) -> PathBuf {
        self.home.join("expiry-notices")
    }
}

/// What is to be sent.
struct Due {
    /// Locked.
    file: File,
    told: Told,
    /// The key with its address, the stage, and the mail.
    mails: Vec<(String, u64, Mail)>,
}

fn write(file: &mut File, told: &Told) -> std::io::Result<()> {
    let text: String = told.iter().map(|(key, days)| format!("{key} {days}\n")).collect();
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn sent(error: SendError) -> Error {
    error.into()
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

const DAY: u64 = 24 * 60 * 60;
/// Days before the end at which people are told. Source: the project's issue 22; certificates of S/MIME take days to be issued.
const STAGES: [u64; 3] = [30, 7, 1];
/// Between two looks at the keys: each stage is found on its day.
const BETWEEN: Duration = Duration::from_secs(6 * 60 * 60);

const TEXT: &str = "\
Subject: The {protocol} key of {address} ends on {date}

The {protocol} key of {address} ends on {date}, in {days} days or less:

    {key}

After that day mail can no longer be signed with it or encrypted to it.
The administrator of the mail server can renew it.
";
