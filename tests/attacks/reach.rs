//! What each process of the service can reach: everything is tried from within, and compared with the table of docs/manual/isolation.md.

use std::{
    fs::{self, DirBuilder},
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket},
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
        process::parent_id,
    },
    path::{Path, PathBuf},
    process::Command,
    str::FromStr,
    thread,
};

use postseal::service::Role;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, kill_process, pidfd_open, prlimit, setrlimit};

use crate::support::lab::Lab;

/// What is there to be reached.
pub(crate) struct Targets {
    tcp: TcpListener,
    other: TcpListener,
    udp: UdpSocket,
    local: UnixListener,
    folder: PathBuf,
}

/// Where it is, for the process that tries it.
pub(crate) struct Places {
    /// Of the port that the process may connect to, if to any.
    pub(crate) tcp: u16,
    other: u16,
    udp: u16,
    pub(crate) folder: PathBuf,
}

impl Targets {
    pub(crate) fn new(lab: &Lab) -> Targets {
        DirBuilder::new().mode(0o700).create(lab.path("home")).unwrap();
        lab.write("home/secret", "secret");
        lab.write("postseal.toml", "");
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        Targets {
            tcp: listener(),
            other: listener(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            local: UnixListener::bind(lab.path("socket")).unwrap(),
            folder: lab.path(""),
        }
    }

    /// For a line of the environment.
    pub(crate) fn line(&self) -> String {
        let of_tcp = |listener: &TcpListener| listener.local_addr().unwrap().port();
        // It listens.
        assert!(self.local.local_addr().is_ok());
        let udp = self.udp.local_addr().unwrap().port();
        format!("{} {} {udp} {}", of_tcp(&self.tcp), of_tcp(&self.other), self.folder.display())
    }

    pub(crate) fn tcp(&self) -> u16 {
        self.tcp.local_addr().unwrap().port()
    }
}

impl FromStr for Places {
    type Err = std::num::ParseIntError;

    fn from_str(line: &str) -> Result<Places, Self::Err> {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (tcp, other, udp) = (word().parse()?, word().parse()?, word().parse()?);
        Ok(Places { tcp, other, udp, folder: PathBuf::from(word()) })
    }
}

/// The words of the table, for what a process was seen to do and not to do.
const DONE: &str = "done";
const REFUSED: &str = "refused";

/// One line for each thing that was tried, from within.
pub(crate) fn reach(places: &Places) -> Vec<String> {
    let mut said = Vec::new();
    let mut tell = |what: &str, done: io::Result<()>| {
        said.push(format!("{what}: {}", if done.is_ok() { DONE } else { REFUSED }));
    };
    let path = |name: &str| places.folder.join(name);
    let service = parent_id();
    let of_service = |name: &str| Path::new("/proc").join(service.to_string()).join(name);
    tell("read a file of the home", fs::read(path("home/secret")).map(drop));
    tell("list the home", fs::read_dir(path("home")).map(drop));
    tell("write into the home", fs::write(path("home/more"), "more"));
    tell(
        "let everybody read a file of the home",
        fs::set_permissions(path("home/secret"), fs::Permissions::from_mode(0o644)),
    );
    tell("remove a file of the home", fs::remove_file(path("home/secret")));
    tell("read the configuration", fs::read(path("postseal.toml")).map(drop));
    tell("read the users of the machine", fs::read("/etc/passwd").map(drop));
    tell("run a program", Command::new("/bin/true").status().map(drop));
    tell("run its own program", Command::new("/proc/self/exe").status().map(drop));
    tell("read the environment of the service", fs::read(of_service("environ")).map(drop));
    tell("write into the memory of the service", fs::File::options().write(true).open(of_service("mem")).map(drop));
    let service = Pid::from_raw(service.try_into().unwrap()).unwrap();
    tell("hold the service by a descriptor", pidfd_open(service, PidfdFlags::empty()).map(drop).map_err(Into::into));
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    tell("bound the service", prlimit(Some(service), Resource::Core, none).map(drop).map_err(Into::into));
    // A signal that its receiver ignores: what counts is whether it may be sent.
    tell("end the service", kill_process(service, Signal::URG).map_err(Into::into));
    let more = Rlimit { current: None, maximum: None };
    tell("raise its own limit of memory", setrlimit(Resource::Data, more).map_err(Into::into));
    tell("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop));
    tell("connect by TCP to a port of the configuration", TcpStream::connect(("127.0.0.1", places.tcp)).map(drop));
    tell("connect by TCP to another port", TcpStream::connect(("127.0.0.1", places.other)).map(drop));
    let sent = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).and_then(|socket| {
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, places.udp);
        rustix::net::sendto(socket, b"x", SendFlags::empty(), &to)
    });
    tell("send by UDP", sent.map(drop).map_err(Into::into));
    let raw = rustix::net::socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP));
    tell("make a socket for packets as they are", raw.map(drop).map_err(Into::into));
    tell("connect to a local socket", UnixStream::connect(path("socket")).map(drop));
    tell("make a local socket in the home", UnixListener::bind(path("home/more")).map(drop));
    tell("make a pair of sockets", UnixStream::pair().map(drop));
    tell("start a thread", thread::Builder::new().spawn(|| {}).map(|thread| thread.join().unwrap()));
    said
}

/// What the manual says of a process.
pub(crate) fn expected(role: Role) -> Vec<String> {
    let manual = include_str!("../../docs/manual/isolation.md");
    let table =
        manual.split("\n## What was tried\n").nth(1).expect("the heading").split("\n## ").next().expect("a section");
    let mut rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let name = format!("`postseal: {}`", role.name());
    let column = rows.next().expect("a head").split(" | ").position(|head| head == name).expect("a column");
    let cell = |row: &str| {
        let cells: Vec<&str> = row.split(" | ").collect();
        format!("{}: {}", cells[0], cells[column])
    };
    rows.map(cell).collect()
}
