//! docs/manual/postgresql.md, on a machine for which db.example.org is a server of our own.

use std::{fs, os::unix::fs::PermissionsExt};

use super::typed_by;
use crate::support::{
    lab::Lab,
    ports::pass_on,
    postgres::{PASSWORD, Server, present as has_postgresql},
    requirements::{self, present},
};

/// An address of loopback where the port of PostgreSQL is ours.
const ADDRESS: &str = "127.9.9.5";

/// Its own mounts: names, sockets, and the folders that the page names.
const MACHINE: &str = "set -e
mount -t tmpfs tmpfs /run/postgresql
ln -s $SOCKET /run/postgresql/.s.PGSQL.5432
mount -t tmpfs tmpfs /var/lib
mkdir upper && mount -t tmpfs tmpfs upper && mkdir upper/new upper/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=upper/new,workdir=upper/work /etc
mount --bind hosts /etc/hosts
mkdir /etc/postseal && cp owner /etc/postseal/owner && cp machine /etc/postseal/mx1 && cp machine /etc/postseal/mx2
cp home/master.key master.key
set +e
";

#[test]
fn several_machines_with_one_database() {
    if !has_postgresql() || !present(&["unshare", "mount", "setsid", "createuser", "createdb", "psql", "pg_dump"]) {
        return;
    }
    let lab = Lab::with_keys(&["alice"]);
    let server = Server::start();
    server.psql("postgres", &format!("ALTER USER postgres PASSWORD '{PASSWORD}'")).expect("a password");
    if let Err(error) = pass_on(ADDRESS, 5432, server.port) {
        requirements::missing(&format!("{ADDRESS}, port 5432 ({error})"));
        return;
    }
    lab.write("hosts", format!("127.0.0.1 localhost\n{ADDRESS} db.example.org replica.example.org\n"));
    lab.write("pgpass", format!("*:*:*:postgres:{PASSWORD}\n*:*:*:keys:of the owner\n"));
    fs::set_permissions(lab.path("pgpass"), fs::Permissions::from_mode(0o600)).expect("a file of ours");
    // What createuser is told, twice, and what the page has as the password of the machines.
    lab.write("answers", "of the owner\nof the owner\n");
    lab.write("owner", "of the owner\n");
    lab.write("machine", "...\n");
    let environment = format!(
        "export SOCKET={} SSL_CERT_FILE={} PGUSER=postgres PGPASSFILE=$PWD/pgpass",
        server.path(&format!(".s.PGSQL.{}", server.port)).display(),
        server.path("ca.pem").display()
    );
    lab.write("try", format!("{environment}\n{MACHINE}"));
    if lab
        .shell("cp -r . ../try-$$ && cd ../try-$$ && unshare --mount sh try; code=$?; rm -rf ../try-$$; exit $code")
        .code
        != 0
    {
        requirements::missing("the right to mount");
        return;
    }
    let count = typed_by("postgresql.md", &lab, |script| {
        lab.write("page", format!("{environment}\n{MACHINE}{script}"));
        // Without a terminal, so that createuser reads its input.
        lab.shell("setsid --wait unshare --mount sh page < answers")
    });
    assert!(count > 11, "{count}");
}
