//! The keys of a configuration: its sources, opened in their order.

use std::{fs, path::Path, sync::Arc};

use crate::{
    base::{Error, Hint, Kind, Limits, Result, Secret},
    config::{self, KeySource, Presence},
    keys::{Keys, Memory, Passphrases, Tokens},
    store::{self, Keystore},
};

/// Key sources that are open.
#[derive(Default)]
pub struct OpenSources {
    /// All sources, in order.
    pub keys: Vec<Arc<dyn Keys>>,
    /// The home among them. Learned capabilities are stored there.
    pub home: Option<Arc<Keystore>>,
    /// One line for each certificate or key that was skipped in the files.
    pub skipped: Vec<String>,
}

impl OpenSources {
    /// Opens `sources`.
    ///
    /// # Errors
    ///
    /// `Config`: a file cannot be read, or a required home is not there. Others: those of [`store::load_beside`], or the home cannot be opened.
    pub fn of(sources: &[KeySource], passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<OpenSources> {
        OpenSources::with_tokens(sources, passphrases, limits, None)
    }

    /// As [`OpenSources::of`]; `tokens` opens the keys of the home that are on tokens.
    ///
    /// # Errors
    ///
    /// As [`OpenSources::of`].
    pub fn with_tokens(
        sources: &[KeySource],
        passphrases: &Arc<Passphrases>,
        limits: &Limits,
        tokens: Option<Arc<dyn Tokens>>,
    ) -> Result<OpenSources> {
        let mut opened = OpenSources::default();
        for source in sources {
            if let KeySource::Home(place, presence) = source {
                let home = Keystore::open_home(place, Arc::clone(passphrases), limits)?;
                if *presence == Presence::Required && !home.exists()? {
                    let what =
                        format!("{}: there are no keys here, or the file system is not mounted", place.display());
                    return Err(Error::new(Kind::Config, what).with_hint(Hint::MakeHome));
                }
                let home = home.with_credentials(config::credentials_directory()).with_tokens(tokens.clone());
                opened.home = Some(Arc::new(home));
            }
        }
        for source in sources {
            match source {
                KeySource::File(place) => {
                    let loaded = opened.file(place, passphrases, limits)?;
                    opened.keys.push(Arc::new(loaded));
                }
                KeySource::Home(..) => opened.keys.extend(opened.home.clone().map(|home| home as Arc<dyn Keys>)),
            }
        }
        Ok(opened)
    }

    fn file(&mut self, path: &Path, passphrases: &Arc<Passphrases>, limits: &Limits) -> Result<Memory> {
        let place = path.display().to_string();
        let octets = Secret::new(
            fs::read(path).map_err(|error| Error::new(Kind::Config, Error::io(&place, &error).to_string()))?,
        );
        let nothing = Memory::new();
        let beside: &dyn Keys = self.home.as_deref().map_or(&nothing, |home| home);
        let loaded = store::load_beside(&[(&place, octets.expose())], passphrases, limits, beside)?;
        self.skipped.extend(loaded.skipped);
        Ok(loaded.keys)
    }
}
