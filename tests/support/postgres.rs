//! A server of PostgreSQL of our own: on a socket, and on loopback with TLS.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use super::{
    certificates::{authority, certificate},
    ports::free_port,
    requirements::missing,
};

/// A running server.
pub(crate) struct Server {
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    server: Option<Child>,
    disk: Option<Disk>,
}

/// A small disk for the tables of a server.
pub(crate) struct Disk {
    /// Where it is mounted.
    place: PathBuf,
    log: LogPlace,
}

/// Where the log of a server is, from which it recovers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogPlace {
    /// On the small disk.
    There,
    /// On another one.
    Elsewhere,
}

/// The password of every user but `postgres`, whom the socket lets in without.
pub(crate) const PASSWORD: &str = "s3same-0pen";

/// Whether the programs of the server are here.
pub(crate) fn present() -> bool {
    programs().is_some() || missing("PostgreSQL (package postgresql)")
}

impl Server {
    /// Makes and starts one.
    pub(crate) fn start() -> Server {
        Server::with("")
    }

    /// The one of all tests of this process that neither stop nor configure theirs. It ends after the process.
    pub(crate) fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Server::start();
            // The input of this shell ends when the process does, however that ends.
            let number = server.server.as_ref().expect("it runs").id();
            let script = format!(
                "cat; kill -QUIT {number}; while kill -0 {number}; do sleep 0.1; done; rm -r {}",
                server.folder.path().display()
            );
            let mut shell = Command::new("setsid");
            shell.args(["sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
            std::mem::forget(shell.spawn().expect("a shell"));
            server
        })
    }

    /// Makes and starts one, with these lines of configuration.
    pub(crate) fn with(settings: &str) -> Server {
        Server::in_folder(folder(), settings, None)
    }

    /// Makes and starts one whose tables are on a disk of so many megabytes; `None` where nothing can be mounted.
    pub(crate) fn on_small_disk(megabytes: usize, log: LogPlace) -> Option<Server> {
        let folder = folder();
        let place = folder.path().join("data");
        fs::create_dir(&place).expect("a folder");
        let size = format!("size={megabytes}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&place);
        if !mount.status().is_ok_and(|status| status.success()) {
            missing("the right to mount a disk");
            return None;
        }
        let settings = "max_wal_size = '4MB'\nmin_wal_size = '2MB'\nautovacuum = off";
        Some(Server::in_folder(folder, settings, Some(Disk { place, log })))
    }

    /// Takes all the room that is left on its small disk, until the result is dropped.
    pub(crate) fn fill_disk(&self) -> Filler {
        let place = self.disk.as_ref().expect("a small disk").place.join("filler");
        let mut file = fs::File::create(&place).expect("a file");
        for length in [1 << 20, 4096, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; length]).is_ok() {}
        }
        Filler(place)
    }

    fn in_folder(folder: tempfile::TempDir, settings: &str, disk: Option<Disk>) -> Server {
        let here = folder.path();
        authority(here, "ca");
        certificate(here, "server", "ca", "localhost,DNS:db.example.org,DNS:replica.example.org,IP:127.0.0.1");
        authority(here, "other");
        for (name, mode) in [("", "711"), ("ca.pem", "644"), ("server.key", "600")] {
            run("chmod", [OsStr::new(mode), here.join(name).as_os_str()]);
        }
        run("chown", ["-R".as_ref(), owner().as_ref(), here.as_os_str()]);
        let data = here.join("data");
        let mut initdb = as_owner("initdb");
        initdb.arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ]);
        initdb.args(["--auth-local=trust", "--auth-host=scram-sha-256"]);
        if let Some(disk) = &disk {
            initdb.arg("--wal-segsize=1");
            if disk.log == LogPlace::Elsewhere {
                initdb.arg("-X").arg(here.join("log-of-changes"));
            }
        }
        let made = initdb.output().expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let configuration = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{here}'\nssl = on\nfsync = off\n\
             ssl_cert_file = '{here}/server.pem'\nssl_key_file = '{here}/server.key'\nmax_connections = 60\n\
             shared_buffers = '32MB'\n{settings}\n",
            here = here.display()
        );
        // The folder belongs to the user of the server; root writes there anyway, and otherwise both are one user.
        fs::write(data.join("postgresql.conf"), configuration).expect("a file");
        let mut server = Server { folder, port, server: None, disk };
        server.run();
        server
    }

    /// Starts it again, after [`Server::stop`] or [`Server::kill`].
    pub(crate) fn run(&mut self) {
        self.start_program();
        let end = Instant::now() + Duration::from_secs(60);
        while !self.psql("postgres", "SELECT 1").is_ok_and(|said| said == "1") {
            assert!(Instant::now() < end, "{}", fs::read_to_string(self.path("log")).unwrap_or_default());
            std::thread::sleep(Duration::from_millis(50));
            // It does not start while a process of one that was killed still has its memory.
            if self.has_ended() {
                self.start_program();
            }
        }
    }

    fn start_program(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a file");
        let mut postgres = as_owner("postgres");
        postgres.arg("-D").arg(self.path("data")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.server = Some(postgres.spawn().expect("postgres starts"));
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| server.try_wait().expect("a child").is_some())
    }

    /// Stops it at once, as a crash would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            signal("QUIT", server.id());
            server.wait().expect("it ends");
        }
    }

    /// Stops or continues all its processes, as a network that loses everything.
    pub(crate) fn freeze(&self, signal_name: &str) {
        let parent = self.server.as_ref().expect("it runs").id();
        [parent].into_iter().chain(children(parent)).for_each(|process| signal(signal_name, process));
    }

    /// SIGKILL of all its processes.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let others = children(server.id());
            signal("KILL", server.id());
            server.wait().expect("it ends");
            others.into_iter().for_each(|process| signal("KILL", process));
        }
    }

    /// SIGKILL of one process that answers a client of this database, if there is one. The server then ends all the others, and recovers.
    pub(crate) fn kill_backend(&self, database: &str) -> bool {
        let name = format!(" {database} ");
        let is_one = |process: &u32| {
            let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(&name)
        };
        let backend = children(self.server.as_ref().expect("it runs").id()).into_iter().find(is_one);
        backend.inspect(|process| signal("KILL", *process)).is_some()
    }

    /// A replica of it, which runs.
    pub(crate) fn replica(&self) -> Server {
        let folder = tempfile::Builder::new().prefix("pr").tempdir_in("/tmp").expect("a throwaway folder");
        run("chown", [owner().as_ref(), folder.path().as_os_str()]);
        run("chmod", ["711".as_ref(), folder.path().as_os_str()]);
        let mut copy = as_owner("pg_basebackup");
        copy.arg("-D").arg(folder.path().join("data")).args(["-R", "-c", "fast", "-U", "postgres", "--no-sync"]);
        copy.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        printed(&mut copy).expect("a copy");
        let port = free_port();
        let settings =
            format!("port = {port}\nlisten_addresses = ''\nunix_socket_directories = '{}'\n", folder.path().display());
        let configuration = folder.path().join("data/postgresql.conf");
        let copied = fs::read_to_string(&configuration).expect("a configuration");
        fs::write(&configuration, copied + &settings).expect("a file");
        let mut replica = Server { folder, port, server: None, disk: None };
        replica.run();
        replica
    }

    /// A new, empty database; its URL for the owner of everything, over the socket.
    pub(crate) fn database(&self, name: &str) -> String {
        self.psql("postgres", &format!("CREATE DATABASE {name}")).expect("a database");
        self.url(name)
    }

    /// The URL of a database for the owner of everything, over the socket.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://postgres@/{name}?host={}&port={}", self.folder.path().display(), self.port)
    }

    /// The URL of a database for a user over TLS, with the authority that is to be trusted.
    pub(crate) fn over_tls(&self, host: &str, user: &str, name: &str, authority: &str) -> String {
        let roots = self.path(authority);
        format!("postgres://{user}:{PASSWORD}@{host}:{}/{name}?sslrootcert={}", self.port, roots.display())
    }

    /// What psql prints for SQL in a database: values only.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(programs().expect("the programs of PostgreSQL").join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql]);
        psql.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        printed(&mut psql)
    }

    /// All of a database as SQL.
    pub(crate) fn dump(&self, database: &str) -> String {
        let mut dump = Command::new(programs().expect("the programs of PostgreSQL").join("pg_dump"));
        dump.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string(), "-U", "postgres", database]);
        printed(&mut dump).expect("a dump")
    }

    /// A file of its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.freeze("CONT");
        }
        self.stop();
        if let Some(disk) = &self.disk {
            run("umount", ["--lazy".as_ref(), disk.place.as_os_str()]);
        }
    }
}

/// What takes the room on a disk.
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("it is removed");
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a throwaway folder")
}

fn printed(program: &mut Command) -> Result<String, String> {
    let output = program.output().expect("it starts");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// It may have ended meanwhile.
fn signal(name: &str, process: u32) {
    let _ = Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status();
}

fn children(process: u32) -> Vec<u32> {
    let children = Command::new("pgrep").args(["-P", &process.to_string()]).output().expect("pgrep starts");
    let children = String::from_utf8_lossy(&children.stdout).into_owned();
    children.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

fn run<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) {
    let status = Command::new(program).args(arguments).status().expect("it starts");
    assert!(status.success(), "{program}");
}

/// The server refuses to run as root.
fn as_owner(program: &str) -> Command {
    let program = programs().expect("the programs of PostgreSQL").join(program);
    if owner() == "postgres" {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/tmp");
        setpriv
    } else {
        let mut command = Command::new(program);
        command.current_dir("/tmp");
        command
    }
}

/// The user of the server.
fn owner() -> String {
    let user = Command::new("id").arg("-un").output().expect("id starts");
    match String::from_utf8_lossy(&user.stdout).trim() {
        "root" => "postgres".to_owned(),
        user => user.to_owned(),
    }
}

/// Where Debian has them: /usr/lib/postgresql/VERSION/bin; the newest.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
    folders.retain(|folder: &PathBuf| Path::is_file(&folder.join("postgres")));
    folders.sort();
    folders.pop()
}
