//! A mail server that conflicts with Postfix's package: unpacked by `.ci/unpack-mail-servers`, entered with chroot(8), alone in a copy of
//! the tree, gone when the test ends.

use std::{
    env, fs,
    io::{self, Write},
    net::TcpStream,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    postfix::{may_start_servers, run_with},
    requirements,
};

/// Whether `program` is in the unpacked tree, and `others` on this machine.
pub(crate) fn present(program: &str, others: &[&str]) -> bool {
    (unpacked().join("unpacked").is_file() && unpacked().join(program).is_file()
        || requirements::missing(&format!("{program} (unpack it with .ci/unpack-mail-servers target/mail-servers)")))
        && requirements::present(&[&["chroot"], others].concat())
        && may_start_servers()
}

/// One server's whole world.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
    /// A link to the tree with a name short enough for sockets (108 octets).
    link: PathBuf,
    daemon: Option<Child>,
}

impl Tree {
    pub(crate) fn new() -> Tree {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a throwaway folder");
        let root = folder.path().join("root");
        // A link would be copied as a link, and every test would share the tree.
        let unpacked = fs::canonicalize(unpacked()).expect("the unpacked tree");
        let status = Command::new("cp").arg("-a").arg(unpacked).arg(&root).status().expect("cp is everywhere");
        assert!(status.success());
        // The daemons have users of their own.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a folder that can be entered");
        let name = folder.path().file_name().expect("a name").to_string_lossy().replace('.', "ms");
        let link = env::temp_dir().join(name);
        symlink(&root, &link).expect("a link");
        Tree { folder, link, daemon: None }
    }

    /// Where a path of the server's lies for us.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.link.join(inside.trim_start_matches('/'))
    }

    /// Makes a folder for `owner`, with this mode, and those above it.
    pub(crate) fn folder(&self, inside: &str, owner: &str, mode: u32) {
        fs::create_dir_all(self.path(inside)).expect("a folder");
        self.run("chown", &[owner, inside]);
        fs::set_permissions(self.path(inside), fs::Permissions::from_mode(mode)).expect("permissions");
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        fs::write(self.path(inside), text).expect("the tree can be written");
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap_or_default()
    }

    /// What a program of the tree writes to standard output; it has to end well.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = run_with(self.chroot(program).args(arguments), b"");
        let said = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        assert!(status.success(), "{program} {arguments:?}: {status}\n{}\n{}", said(&stdout), said(&stderr));
        said(&stdout)
    }

    /// Starts the server, which has to stay in the foreground, and waits until it listens on `port` of loopback. What it says goes to
    /// /srv/said.
    pub(crate) fn start(&mut self, program: &str, arguments: &[&str], port: u16) {
        let said = fs::File::create(self.path("/srv/said")).expect("the tree can be written");
        let mut command = self.chroot(program);
        command.args(arguments).stdin(Stdio::null()).stdout(said.try_clone().expect("a handle")).stderr(said);
        self.daemon = Some(command.spawn().expect("chroot starts"));
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "nobody listens on port {port}: {}", self.read("/srv/said"));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until `look` finds something; panics with what it saw last after 20 seconds.
    pub(crate) fn wait_for(&self, look: impl Fn() -> String, words: &str) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = look();
            if seen.contains(words) {
                return seen;
            }
            assert!(Instant::now() < end, "{words:?} does not come: {seen}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn chroot(&self, program: &str) -> Command {
        let mut command = Command::new("/usr/sbin/chroot");
        command.arg(self.folder.path().join("root")).arg(program).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin");
        command
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if thread::panicking() {
            // The server's log helps to understand the failure.
            let _ = writeln!(io::stderr(), "the server said:\n{}", self.read("/srv/said"));
        }
        if let Some(mut daemon) = self.daemon.take() {
            // Not SIGKILL: it has children, and is to end them.
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
        let _ = fs::remove_file(&self.link);
    }
}

/// What docs/manual/mail-servers.md shows under a heading: the `number`th block of code.
pub(crate) fn shown(heading: &str, number: usize) -> &'static str {
    let manual = include_str!("../../../docs/manual/mail-servers.md");
    let section = manual.split("\n## ").find(|section| section.starts_with(heading)).expect("the heading");
    section.split("```\n").nth(2 * number + 1).expect("a block of code")
}

fn unpacked() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/mail-servers");
    env::var_os("POSTSEAL_MAIL_SERVERS").map_or_else(default, PathBuf::from)
}
