//! Loaded modules, their sessions and logins.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as Failed, RvError},
    object::ObjectHandle,
    session::{Session, SessionState, UserType},
    slot::{Slot, TokenInfo},
    types::AuthPin,
};

use super::{
    Pin, Pins, ProbeLogin,
    failure::{Failure, gone, words},
    limited::GivenUp,
    object,
    slots::slots,
};
use crate::{
    base::{Error, Hint, Result},
    crypto::{Hash, PublicParts},
    keys::TokenUri,
};

/// A module: a shared object that speaks for tokens. Every process has one of each.
pub(super) struct Module {
    path: PathBuf,
    /// `None` until it is loaded. Held for writing while it is started anew: then no operation runs.
    context: RwLock<Option<Pkcs11>>,
    /// Sessions that nobody uses, by token. They are logged in.
    idle: Mutex<BTreeMap<TokenUri, Vec<Pooled>>>,
    /// One login at a time.
    login: Mutex<()>,
    /// Digests of the PINs that a token refused: no PIN is tried twice.
    refused: Mutex<BTreeSet<(TokenUri, Vec<u8>)>>,
    restarted: Mutex<Option<Instant>>,
    given_up: GivenUp,
}

/// A session with the keys that were found in it.
struct Pooled {
    session: Session,
    keys: Vec<(TokenUri, ObjectHandle)>,
}

/// A key to be used: where it is, what it must be, and who knows the PIN.
pub(super) struct Place<'a> {
    pub(super) uri: &'a TokenUri,
    /// The token of it.
    pub(super) token: &'a TokenUri,
    pub(super) public: Option<&'a PublicParts>,
    pub(super) pins: &'a dyn Pins,
}

/// Which session an operation takes.
#[derive(Clone, Copy, PartialEq)]
enum From {
    Pool,
    New,
    Restarted,
}

impl Module {
    /// The module at `path`. It is loaded when it is first used.
    pub(super) fn at(path: &Path) -> Arc<Module> {
        static MODULES: Mutex<BTreeMap<PathBuf, Arc<Module>>> = Mutex::new(BTreeMap::new());
        let made = || {
            Arc::new(Module {
                path: path.to_owned(),
                context: RwLock::default(),
                idle: Mutex::default(),
                login: Mutex::default(),
                refused: Mutex::default(),
                restarted: Mutex::default(),
                given_up: GivenUp::default(),
            })
        };
        Arc::clone(held(&MODULES).entry(path.to_owned()).or_insert_with(made))
    }

    /// Operations that nobody waits for any more.
    pub(super) fn given_up(&self) -> GivenUp {
        Arc::clone(&self.given_up)
    }

    /// Runs `work` with the private key at `place`. Where the token was lost, it is looked for again, up to starting the module anew.
    ///
    /// # Errors
    ///
    /// `Refused` when the key refuses; `Stopped` with an error of this machine otherwise.
    pub(super) fn with_key<T>(
        &self,
        place: &Place<'_>,
        work: impl Fn(&Session, ObjectHandle) -> Result<T, Failed>,
    ) -> Result<T, Failure> {
        self.again(place, |context, from| {
            let (pooled, key) = self.found(context, place, from)?;
            let done = work(&pooled.session, key).map_err(|failed| Failure::of(&failed))?;
            self.put_back(place, pooled);
            Ok(done)
        })
    }

    /// Runs `work` with a session of the token of `place`, logged in, which may write.
    ///
    /// # Errors
    ///
    /// As [`Module::with_key`].
    pub(super) fn with_session<T>(
        &self,
        place: &Place<'_>,
        work: impl Fn(&Session, &TokenUri) -> Result<T, Failed>,
    ) -> Result<T, Failure> {
        self.again(place, |context, _| {
            let (slot, info) = slot(&self.path, context, place.uri)?;
            let session = context.open_rw_session(slot).map_err(|failed| Failure::before(&failed))?;
            self.log_in(place, &session, &info)?;
            let done = work(&session, &name(&info)).map_err(|failed| Failure::of(&failed));
            // A token forgets the login with the last session.
            self.put_back(place, Pooled { session, keys: Vec::new() });
            done
        })
    }

    /// Asks the token of `place` whether it is there and works, after a login if it is `due`.
    ///
    /// # Errors
    ///
    /// As [`Module::with_key`].
    pub(super) fn probe(&self, place: &Place<'_>, login: ProbeLogin) -> Result<(), Failure> {
        self.again(place, |context, from| {
            let (slot, info) = slot(&self.path, context, place.uri)?;
            if login == ProbeLogin::IfUntried && info.login_required() && info.user_pin_count_low() {
                let why = "a wrong PIN was given since the last right one, and none is tried here";
                return Err(Failure::Stopped(Error::inaccessible(format!("{}: {why}", place.uri.title()))));
            }
            let idle = if from == From::Pool { held(&self.idle).get_mut(place.token).and_then(Vec::pop) } else { None };
            let pooled = match idle {
                Some(pooled) => pooled,
                None => {
                    let session = context.open_ro_session(slot).map_err(|failed| Failure::before(&failed))?;
                    if login != ProbeLogin::None {
                        self.log_in(place, &session, &info)?;
                    }
                    Pooled { session, keys: Vec::new() }
                }
            };
            // A search that finds nothing costs as much with any number of keys.
            object::is_taken(&pooled.session, NO_LABEL).map_err(|failed| Failure::before(&failed))?;
            if login != ProbeLogin::None {
                self.put_back(place, pooled);
            }
            Ok(())
        })
    }

    fn again<T>(&self, place: &Place<'_>, once: impl Fn(&Pkcs11, From) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut from = From::Pool;
        loop {
            let running = self.running()?;
            let done =
                running.as_ref().map_or_else(|| Err(Failure::Lost(String::new())), |context| once(context, from));
            drop(running);
            match (done, from) {
                (Err(Failure::Lost(_)), From::New) => {
                    self.restart();
                    from = From::Restarted;
                }
                (Err(Failure::Lost(_) | Failure::Unclear(_)), From::Pool) => {
                    self.forget(place);
                    from = From::New;
                }
                (Err(Failure::Lost(why)), From::Restarted) => {
                    return Err(Failure::Stopped(gone(place.uri.title(), &why)));
                }
                // The session was new and the key was found in it: it is there, and does not do this.
                (Err(Failure::Unclear(_)), From::New | From::Restarted) => return Err(Failure::Refused),
                (done, _) => return done,
            }
        }
    }

    /// The key at `place`, in a session.
    fn found(&self, context: &Pkcs11, place: &Place<'_>, from: From) -> Result<(Pooled, ObjectHandle), Failure> {
        let idle = if from == From::Pool { held(&self.idle).get_mut(place.token).and_then(Vec::pop) } else { None };
        let mut pooled = match idle {
            Some(pooled) => pooled,
            None => {
                let (slot, info) = slot(&self.path, context, place.uri)?;
                let session = context.open_ro_session(slot).map_err(|failed| Failure::before(&failed))?;
                self.log_in(place, &session, &info)?;
                Pooled { session, keys: Vec::new() }
            }
        };
        if let Some((_, key)) = pooled.keys.iter().find(|(uri, _)| uri == place.uri) {
            let key = *key;
            return Ok((pooled, key));
        }
        let key = object::private_key(&pooled.session, place.uri, place.public)?;
        pooled.keys.push((place.uri.clone(), key));
        Ok((pooled, key))
    }

    fn put_back(&self, place: &Place<'_>, pooled: Pooled) {
        let mut idle = held(&self.idle);
        match idle.get_mut(place.token) {
            Some(of_token) if of_token.len() >= MAX_IDLE => {}
            Some(of_token) => of_token.push(pooled),
            None => _ = idle.insert(place.token.clone(), vec![pooled]),
        }
    }

    fn forget(&self, place: &Place<'_>) {
        held(&self.idle).remove(place.token);
    }

    /// Holds off a restart. Loads the module if it is not.
    fn running(&self) -> Result<std::sync::RwLockReadGuard<'_, Option<Pkcs11>>, Failure> {
        loop {
            let running = self.context.read().unwrap_or_else(PoisonError::into_inner);
            if running.is_some() {
                return Ok(running);
            }
            drop(running);
            let mut context = self.context.write().unwrap_or_else(PoisonError::into_inner);
            if context.is_none() {
                *context = Some(self.load()?);
            }
        }
    }

    fn load(&self) -> Result<Pkcs11, Failure> {
        let place = self.path.display();
        let failed = |failed: Failed| Failure::Stopped(gone(format_args!("module {place}"), &words(&failed)));
        let context = Pkcs11::new(&self.path).map_err(failed)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another library of this process uses it too.
            Ok(()) | Err(Failed::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(context),
            Err(error) => Err(failed(error)),
        }
    }

    /// Ends the module and lets the next operation start it: some see a token that came back, or was added, only then.
    fn restart(&self) {
        let mut context = self.context.write().unwrap_or_else(PoisonError::into_inner);
        let mut restarted = held(&self.restarted);
        if restarted.is_some_and(|at| at.elapsed() < RESTART_PAUSE) {
            return;
        }
        *restarted = Some(Instant::now());
        held(&self.idle).clear();
        if let Some(context) = context.take() {
            // What fails to end is loaded again all the same.
            let _ = context.finalize();
        }
    }

    /// Logs in, where that is due: PKCS#11 has one login for all sessions of a process with a token.
    fn log_in(&self, place: &Place<'_>, session: &Session, info: &TokenInfo) -> Result<(), Failure> {
        if !info.login_required() {
            return Ok(());
        }
        let login = held(&self.login);
        let state = session.get_session_info().map_err(|failed| Failure::before(&failed))?.session_state();
        if matches!(state, SessionState::RoUser | SessionState::RwUser) {
            return Ok(());
        }
        let token = name(info);
        let stop = |why: String| Failure::Stopped(Error::inaccessible(format!("{}: {why}", place.uri.title())));
        if info.user_pin_locked() {
            return Err(stop("its PIN is locked".to_owned()));
        }
        if info.protected_authentication_path() {
            return logged_in(session.login(UserType::User, None), &stop);
        }
        let Some(pin) = place.pins.pin(place.uri).map_err(Failure::Stopped)? else {
            return Err(Failure::Stopped(
                Error::inaccessible(format!("{}: its PIN is not given", place.uri.title())).with_hint(Hint::GivePin),
            ));
        };
        if info.user_pin_final_try() && matches!(pin, Pin::Given(_)) {
            return Err(stop("one try is left for its PIN, and it is not spent on a PIN from a file".to_owned()));
        }
        let digest = Hash::Sha256.digest(pin.secret().expose());
        if held(&self.refused).contains(&(token.clone(), digest.clone())) {
            return Err(stop("its PIN is wrong; it is not tried again".to_owned()));
        }
        let text = std::str::from_utf8(pin.secret().expose()).map_err(|_| stop("its PIN is not UTF-8".to_owned()))?;
        let done = session.login(UserType::User, Some(&AuthPin::new(text.to_owned().into())));
        if matches!(done, Err(Failed::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _))) {
            held(&self.refused).insert((token, digest));
        }
        drop(login);
        logged_in(done, &stop)
    }
}

fn logged_in(done: Result<(), Failed>, stop: &dyn Fn(String) -> Failure) -> Result<(), Failure> {
    match done {
        Ok(()) | Err(Failed::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
        Err(Failed::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
            Err(stop("its PIN is wrong".to_owned()))
        }
        Err(Failed::Pkcs11(RvError::PinLocked, _)) => Err(stop("its PIN is locked".to_owned())),
        Err(Failed::Pkcs11(RvError::PinExpired, _)) => Err(stop("its PIN has expired".to_owned())),
        Err(Failed::Pkcs11(RvError::UserPinNotInitialized, _)) => Err(stop("it has no PIN yet".to_owned())),
        Err(failed) => Err(Failure::before(&failed)),
    }
}

/// The slot whose token has this name.
fn slot(module: &Path, context: &Pkcs11, uri: &TokenUri) -> Result<(Slot, TokenInfo), Failure> {
    let mut found = None;
    for slot in slots(module, context).map_err(|failed| Failure::before(&failed))? {
        let Ok(info) = context.get_token_info(slot) else { continue };
        let mut named = name(&info);
        if uri.attribute("slot-id").is_some() {
            named = named.with("slot-id", &slot.id().to_string());
        }
        if !info.token_initialized() || !uri.token().covers(&named) {
            continue;
        }
        if found.is_some() {
            let what = format!("{}: names several tokens", uri.title());
            return Err(Failure::Stopped(Error::inaccessible(what).with_hint("name it by serial too")));
        }
        found = Some((slot, info));
    }
    found.ok_or_else(|| Failure::Lost("no token has this name".to_owned()))
}

/// The whole name of a token.
fn name(info: &TokenInfo) -> TokenUri {
    let none = TokenUri::NONE;
    none.with("manufacturer", info.manufacturer_id())
        .with("model", info.model())
        .with("serial", info.serial_number())
        .with("token", info.label())
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Module({})", self.path.display())
    }
}

/// No key has this label.
const NO_LABEL: &str = "postseal probe";
/// Idle sessions of a token that are kept. Source: a smart card has as few as four (PKCS#15), the service as many threads as processors.
const MAX_IDLE: usize = 16;
/// A module is not started anew more often than this.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
