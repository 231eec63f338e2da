//! How long a look-up takes among many. By hand:
//!
//! POSTSEAL_ROWS=1000000 cargo test --test store -- --ignored --nocapture a_look_up_among_many

use std::time::Instant;

use super::*;

/// Certificates made by SQL, with the digests and the indexes that the program would have made.
fn generated(count: usize) -> String {
    format!(
        "INSERT INTO postseal.certificate (fingerprint, protocol, handles, secrets, addresses, octets)
         SELECT f, 'pgp', f, '', 'user' || n || '@example.org', decode(repeat(f, 20), 'hex')
         FROM (SELECT n, upper(substr(encode(sha256(n::text::bytea), 'hex'), 1, 40)) AS f FROM generate_series(1, {count}) AS n) AS all_of;
         UPDATE postseal.certificate SET digest = sha256(
             int8send(octet_length(fingerprint)) || fingerprint::bytea || int8send(octet_length(protocol)) || protocol::bytea ||
             int8send(octet_length(handles)) || handles::bytea || int8send(0) || int8send(octet_length(addresses)) || addresses::bytea ||
             int8send(octet_length(octets)) || octets || int8send(0) || int8send(0) || int8send(0));
         DELETE FROM postseal.address; DELETE FROM postseal.handle;
         INSERT INTO postseal.address SELECT s, c, coalesce(lead(s || ' ' || c) OVER (ORDER BY s, c), '')
         FROM (SELECT addresses COLLATE \"C\" AS s, number AS c FROM postseal.certificate UNION ALL SELECT '', 0) AS all_of;
         INSERT INTO postseal.handle SELECT s, c, coalesce(lead(s || ' ' || c) OVER (ORDER BY s, c), '')
         FROM (SELECT ('<' || reverse(fingerprint)) COLLATE \"C\" AS s, number AS c FROM postseal.certificate UNION ALL SELECT '', 0) AS all_of;
         UPDATE postseal.total SET value = int8send({count}) WHERE name = 'certificate';
         UPDATE postseal.change SET number = number + 1;"
    )
}

#[test]
#[ignore = "minutes, and gigabytes of disk: by hand"]
fn a_look_up_among_many() {
    assert!(is_present());
    let count = std::env::var("POSTSEAL_ROWS").ok().and_then(|count| count.parse().ok()).unwrap_or(1_000_000);
    if let Ok(url) = std::env::var("POSTSEAL_URL") {
        // Rows that are there from another run.
        let machine = Machine::new(&[&url]);
        return median("PostgreSQL", || machine.open(), count);
    }
    let server = Server::with("shared_buffers = '256MB'\nmax_wal_size = '4GB'\nautovacuum = off");
    let url = server.database("many");
    let machine = Machine::new(&[&format!("{url}&timeout=600")]);
    let begin = Instant::now();
    server.psql("many", &generated(count)).unwrap();
    server.psql("many", "VACUUM ANALYZE").unwrap();
    println!("{count} rows were made in {:?}", begin.elapsed());
    median("PostgreSQL", || machine.open(), count);

    if std::env::var_os("POSTSEAL_SQLITE").is_some() {
        let begin = Instant::now();
        store::transfer(machine.home(), &store::Destination::Home).unwrap();
        println!("moved to SQLite in {:?}", begin.elapsed());
        median("SQLite", || machine.open(), count);
        let keys = server.database("back");
        let begin = Instant::now();
        store::transfer(machine.home(), &store::Destination::Postgres(vec![format!("{keys}&timeout=600")])).unwrap();
        println!("moved to PostgreSQL in {:?}", begin.elapsed());
    }
}

fn median(name: &str, open: impl Fn() -> Keystore, count: usize) {
    let begin = Instant::now();
    let keys = open();
    keys.probe().unwrap();
    println!("{name}: opened and probed in {:?}", begin.elapsed());
    let find = |keys: &Keystore, number: usize| {
        let wanted = address(&format!("user{number}@example.org"));
        let begin = Instant::now();
        let found = keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&wanted))).unwrap();
        let took = begin.elapsed();
        assert_eq!(found.len(), 1, "{wanted}");
        took
    };
    let of = |mut times: Vec<Duration>| {
        times.sort();
        format!("median {:?}, 99 of 100 {:?}", times[times.len() / 2], times[times.len() * 99 / 100])
    };
    let number = |turn: usize| turn.wrapping_mul(7_368_787) % count + 1;
    let asked = (0..2_000).map(|turn| find(&keys, number(turn))).collect();
    println!("{name}: asked for the first time, no listener yet: {}", of(asked));
    std::thread::sleep(UNTIL_IT_LISTENS);
    find(&keys, 1);
    std::thread::sleep(SECOND);
    let asked = (10_000..12_000).map(|turn| find(&keys, number(turn))).collect();
    println!("{name}: asked for the first time: {}", of(asked));
    let known = (10_000..12_000).map(|turn| find(&keys, number(turn))).collect();
    println!("{name}: known: {}", of(known));
    let absent = (0..1_000)
        .map(|turn| {
            let wanted = address(&format!("nobody{turn}@example.org"));
            let begin = Instant::now();
            assert!(keys.find(ProtocolName::Pgp, &Query::manage(Want::Address(&wanted))).unwrap().is_empty());
            begin.elapsed()
        })
        .collect();
    println!("{name}: absent: {}", of(absent));
}
