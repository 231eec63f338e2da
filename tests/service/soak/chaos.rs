//! What goes wrong around a service, one after the other: its processes are killed, the disk is full, its keys are away, the clock jumps, the next
//! server is slow or gone.

use std::{
    fs,
    io::{ErrorKind, Write},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::elsewhere::Elsewhere;
use crate::{
    proxy::Proxy,
    submission::killer::{Killer, ROLES},
    support::postfix::{Sink, may_start_servers},
};

/// A small file system in memory.
pub(super) struct Disk(PathBuf);

impl Disk {
    /// One at this folder; `None` where this machine does not allow it.
    pub(super) fn mount(folder: &Path) -> Option<Disk> {
        fs::create_dir(folder).expect("a folder");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=48m,mode=0700", "postseal-soak"]).arg(folder);
        let is_mounted = may_start_servers() && command.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            // As .ci/run says it of namespaces: no program is missing.
            let _ = writeln!(std::io::stderr(), "NOT TESTED: a full disk: this machine mounts nothing");
        }
        is_mounted.then(|| Disk(folder.to_owned()))
    }

    /// Fills it to the last octet for a while.
    fn fill(&self, pause: Duration) {
        let path = self.0.join("filler");
        let mut file = fs::File::create(&path).expect("a file");
        let full = loop {
            if let Err(error) = file.write_all(&[0; 64 * 1024]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        thread::sleep(pause);
        fs::remove_file(&path).expect("it is there");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// What is done to a service.
pub(super) struct Chaos<'a> {
    pub(super) proxy: &'a Proxy,
    pub(super) sink: &'a Sink,
    pub(super) disk: Option<&'a Disk>,
    /// A token and a database.
    pub(super) elsewhere: Option<&'a Elsewhere<'a>>,
    pub(super) has_clock: bool,
    pub(super) killer: Mutex<Killer<'a>>,
    /// Times that it ended by itself.
    pub(super) ended: AtomicUsize,
    /// How often each thing was done.
    pub(super) done: Mutex<std::collections::BTreeMap<&'static str, usize>>,
    /// The most memory of all its processes that was seen, in KiB.
    pub(super) memory: AtomicUsize,
}

impl Chaos<'_> {
    /// A process of the service ends, or it reads its configuration again.
    pub(super) fn strike(&self, turn: usize) {
        self.memory.fetch_max(super::together(self.proxy), Ordering::SeqCst);
        if self.proxy.ended().is_some() {
            self.ended.fetch_add(1, Ordering::SeqCst);
            self.proxy.open_until_it_stays();
        }
        // Between two reloads: a process of each role, and then all of them.
        match turn % (ROLES.len() + 2) {
            0 => {
                self.count("reload");
                self.proxy.signal_reload();
            }
            at if at <= ROLES.len() => {
                if self.killer.lock().expect("nobody panics with it").kill(&ROLES[at - 1]) {
                    self.count(ROLES[at - 1].name);
                }
            }
            _ => {
                self.count("SIGKILL of the service");
                self.proxy.kill();
                self.proxy.open_until_it_stays();
            }
        }
    }

    /// The token or the database is away for a while.
    pub(super) fn outage_elsewhere(&self, turn: usize, pause: &mut dyn FnMut(u64, u64) -> Duration) {
        match self.elsewhere {
            Some(elsewhere) => self.count(elsewhere.outage(turn, pause)),
            None => thread::sleep(pause(300, 1_500)),
        }
    }

    /// Something around it is away for a while.
    pub(super) fn outage(&self, turn: u64, pause: &mut dyn FnMut(u64, u64) -> Duration) -> Range<Instant> {
        thread::sleep(pause(300, 1_500));
        let begin = Instant::now();
        match (turn % 5, self.disk) {
            (0, _) => {
                self.count("the next server is gone");
                self.sink.hang_up();
                thread::sleep(pause(50, 400));
                self.sink.resume();
            }
            (1, _) => {
                self.count("the next server is slow");
                self.sink.slow(pause(100, 700));
                thread::sleep(pause(500, 1_500));
                self.sink.slow(Duration::ZERO);
            }
            (2, Some(disk)) => {
                self.count("the disk is full");
                disk.fill(pause(200, 900));
            }
            (3, _) if self.has_clock => {
                self.count("the clock jumps");
                // Never behind the time at which the keys were made: they would not be valid yet.
                let hours = pause(1, 48).as_millis();
                fs::write(self.proxy.path("clock"), format!("+{hours}h\n")).expect("a file");
            }
            _ => {
                self.count("the home is away");
                let (home, away) = (self.proxy.path("home"), self.proxy.path("away"));
                fs::rename(&home, &away).expect("it is there");
                thread::sleep(pause(50, 500));
                // A service that was started meanwhile must not have made another.
                fs::rename(&away, &home).expect("the place is free");
            }
        }
        begin..Instant::now()
    }

    fn count(&self, what: &'static str) {
        *self.done.lock().expect("nobody panics with it").entry(what).or_default() += 1;
    }
}

/// The library that gives a program another time, told by a file.
pub(super) fn clock_of(proxy: &Proxy) -> bool {
    const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    if !crate::support::requirements::present(&[LIBRARY]) {
        return false;
    }
    let file = proxy.path("clock");
    fs::write(&file, "+0h\n").expect("a file");
    proxy.set_environment(&[
        ("LD_PRELOAD", LIBRARY),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().expect("a plain name")),
        ("FAKETIME_CACHE_DURATION", "1"),
        // Deadlines are measured by the monotonic clock, which does not jump.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    true
}
