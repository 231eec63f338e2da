//! Keys that are not on this machine: those of one user on a token, and those of a tenant in a database. Both go away and come back.

use std::{fs, os::unix::fs::PermissionsExt, process::Command, sync::Mutex, thread, time::Duration};

use crate::{
    proxy::Proxy,
    support::{
        lab::Lab,
        postfix::run_with,
        postgres::{self, Server},
        requirements::present,
        token::Token,
    },
    tokens::{self, CLIENT},
};

/// A token behind a server of p11-kit, and a database.
pub(super) struct Elsewhere<'a> {
    lab: &'a Lab,
    token: Token<'a>,
    provider: Mutex<Option<tokens::Server>>,
    database: Mutex<Server>,
}

/// What goes away.
#[derive(Clone, Copy, Debug)]
enum Outage {
    ProviderKilled,
    ProviderSilent,
    TokenUnplugged,
    DatabaseKilled,
    BackendKilled,
    DatabaseSilent,
}

impl<'a> Elsewhere<'a> {
    /// Both of them; `None` where a program is missing, which is said.
    pub(super) fn start(lab: &'a Lab) -> Option<Elsewhere<'a>> {
        if !present(&["p11-kit", CLIENT]) || !postgres::present() {
            return None;
        }
        let token = Token::new(lab)?;
        fs::set_permissions(lab.path("pin"), fs::Permissions::from_mode(0o600)).expect("a file of ours");
        let provider = Mutex::new(Some(tokens::Server::start(lab, &token)));
        Some(Elsewhere { lab, token, provider, database: Mutex::new(Server::start()) })
    }

    /// Makes tom's key on the token, and ann's in the database with what else is in the home; the sections of the configuration.
    pub(super) fn furnish(&self, proxy: &Proxy) -> String {
        let home = proxy.path("home");
        let (tenant, shared) = (proxy.path("shared"), proxy.path("shared/home").display().to_string());
        fs::create_dir(&tenant).expect("a folder");
        assert!(run_with(Command::new("cp").arg("-a").arg(&home).arg(&tenant), b"").status.success());
        self.lab.run(&["--home", &shared, "key", "generate", "--no-passphrase", "ann@shared.example"]).code(0);
        self.lab.run(&["--home", &shared, "key", "export", "ann@shared.example", "-o", "ann.asc"]).code(0);
        proxy.postseal(&["key", "import", &self.lab.path("ann.asc").display().to_string()]);
        let database = self.database.lock().expect("nobody panics with it");
        let url = format!("{}&timeout=1", database.database(DATABASE));
        self.lab.run(&["--home", &shared, "store", "migrate", &url]).code(0);
        fs::write(tenant.join("tenant.toml"), TENANT).expect("a file");

        let address = format!("unix:path={}", self.lab.path("p11").display());
        let (home, uri) = (home.display(), format!("pkcs11:token=mail?module-path={CLIENT}"));
        let generate = format!("key generate --algorithm rsa2048 --token '{uri}' tom@example.org");
        let line =
            format!("export P11_KIT_SERVER_ADDRESS='{address}'; exec \"$0\" --home '{home}' --pin-file pin {generate}");
        self.lab.shell(&line).code(0);
        proxy.set_environment(&[("P11_KIT_SERVER_ADDRESS", &address)]);
        format!(
            "[[token]]\nuri = \"pkcs11:token=mail\"\nmodule = \"{CLIENT}\"\npin = {{ file = \"{}\" }}\n\
             [[tenant]]\nname = \"shared\"\ndomains = [\"shared.example\"]\ninclude = \"shared/tenant.toml\"\n",
            self.lab.path("pin").display()
        )
    }

    /// How many lines of the log say that the token, and the database, could not be reached.
    pub(super) fn failures(&self, log: &str) -> [usize; 2] {
        let database = self.database.lock().expect("nobody panics with it").url(DATABASE);
        let place = database.rsplit('@').next().expect("a place").to_owned();
        let of = |words: &str| log.lines().filter(|line| line.contains(words)).count();
        [of("cannot be reached"), of(&place)]
    }

    /// One of them is away for a while; what was done.
    pub(super) fn outage(&self, turn: usize, pause: &mut dyn FnMut(u64, u64) -> Duration) -> &'static str {
        thread::sleep(pause(300, 1_200));
        let outages = [
            Outage::DatabaseKilled,
            Outage::ProviderKilled,
            Outage::BackendKilled,
            Outage::TokenUnplugged,
            Outage::DatabaseSilent,
            Outage::ProviderSilent,
        ];
        let mut provider = self.provider.lock().expect("nobody panics with it");
        let mut database = self.database.lock().expect("nobody panics with it");
        match outages[turn % outages.len()] {
            Outage::ProviderKilled => {
                *provider = None;
                thread::sleep(pause(50, 800));
                *provider = Some(tokens::Server::start(self.lab, &self.token));
                "the module of the token is killed"
            }
            Outage::ProviderSilent => {
                let running = provider.as_ref().expect("it runs");
                running.signal("STOP");
                thread::sleep(pause(50, 1_500));
                running.signal("CONT");
                "the token says nothing"
            }
            Outage::TokenUnplugged => {
                self.token.remove();
                thread::sleep(pause(50, 800));
                self.token.restore();
                "the token is unplugged"
            }
            Outage::DatabaseKilled => {
                database.kill();
                thread::sleep(pause(50, 800));
                database.run();
                "the database is killed"
            }
            Outage::BackendKilled => {
                if database.kill_backend(DATABASE) {
                    "a process of the database is killed"
                } else {
                    "no process of the database to kill"
                }
            }
            Outage::DatabaseSilent => {
                database.freeze("STOP");
                thread::sleep(pause(50, 1_500));
                database.freeze("CONT");
                "the database says nothing"
            }
        }
    }
}

const DATABASE: &str = "soak";
const TENANT: &str = r#"
home = "home"
[trusted]
sign-as = ["shared.example"]
[[rule]]
name = "in"
direction = "inbound"
action = "decrypt+annotate"
[[rule]]
name = "sealed"
action = "sign+encrypt"
"#;
