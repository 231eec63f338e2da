//! Kills the processes of a service, one after the other.

use std::{
    fmt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::proxy::Proxy;

/// What some processes of a service do.
pub(crate) struct Role {
    /// Their name behind `postseal: `.
    pub(crate) name: &'static str,
    /// Of the kills by turns, so many are of one of these.
    share: usize,
    /// What the log says when one ended before its work was done.
    event: &'static str,
    /// What the log says before one ends by itself, because what it takes is away.
    excuse: &'static str,
}

pub(crate) const ROLES: &[Role] = &[
    Role { name: "judge", share: 18, event: "judge-ended", excuse: "none" },
    // The pauses before it is started again grow.
    Role { name: "front", share: 1, event: "front-ended", excuse: "none" },
    Role { name: "keys", share: 1, event: "keys-ended", excuse: "keys-failed" },
];

/// Kills processes of a service.
pub(crate) struct Killer<'a> {
    proxy: &'a Proxy,
    turn: usize,
    /// Those that were killed, for each of [`ROLES`].
    killed: Vec<usize>,
}

impl<'a> Killer<'a> {
    pub(crate) fn of(proxy: &'a Proxy) -> Killer<'a> {
        Killer { proxy, turn: 0, killed: vec![0; ROLES.len()] }
    }

    /// SIGKILL of a process of this role, if there is one.
    pub(crate) fn kill(&mut self, role: &Role) -> bool {
        let mut processes = self.proxy.processes_of(role.name);
        // It may have ended with another one, and is started again after five seconds at most.
        let end = Instant::now() + Duration::from_secs(6);
        while processes.is_empty() && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
            processes = self.proxy.processes_of(role.name);
        }
        let Some(process) = processes.get(self.turn % processes.len().max(1)) else { return false };
        // It may have been replaced since.
        let mut kill = Command::new("kill");
        let is_killed = kill.args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        let is_killed = is_killed.expect("kill runs").success();
        let at = ROLES.iter().position(|one| one.name == role.name).expect("one of those");
        self.killed[at] += usize::from(is_killed);
        is_killed
    }

    /// Many, one after the other while they handle mail: a judge is there again at once.
    pub(crate) fn kill_several(&mut self) {
        let by_share: Vec<&Role> = ROLES.iter().flat_map(|role| (0..role.share).map(move |_| role)).collect();
        for _ in 0..10 {
            thread::sleep(Duration::from_millis(60));
            self.turn += 1;
            // In steps, so that the first ten are of every role. 13 has no divisor in common with their number.
            self.kill(by_share[self.turn * 13 % by_share.len()]);
        }
    }

    /// At least one of each role was killed, and none ended otherwise without an excuse.
    pub(crate) fn check(&self) {
        let log = self.proxy.log();
        for (role, killed) in ROLES.iter().zip(&self.killed) {
            let ended = log.matches(&format!("event={}", role.event)).count();
            let excused = log.matches(&format!("event={} ", role.excuse)).count();
            assert!(*killed > 0 && ended <= *killed + excused, "{}: {killed} killed, {ended} ended", role.name);
        }
    }
}

impl fmt::Display for Killer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.proxy.log();
        f.write_str("killed:")?;
        for (role, killed) in ROLES.iter().zip(&self.killed) {
            let ended = log.matches(&format!("event={}", role.event)).count();
            write!(f, " {killed} of role {} ({ended} at work)", role.name)?;
        }
        Ok(())
    }
}
