//! Whatever is changed in a database is noticed, named, and never makes an answer better.

use std::fs::{self, File};

use rusqlite::{Connection, types::Value};

use super::lab::{Lab, REVOKED, data, ran};

/// A column of a row, by its place in the table.
struct Cell {
    table: String,
    column: String,
    row: usize,
}

/// The tables that count, each with its columns and the number of its rows.
fn tables(connection: &Connection) -> Vec<(String, Vec<String>, usize)> {
    let names = ["address", "binding", "capability", "certificate", "handle", "master", "secret", "statement", "total"];
    let mut found = Vec::new();
    for name in names {
        let sql = format!("SELECT count(*) FROM {name}");
        let rows = connection.query_row(&sql, (), |row| row.get::<_, i64>(0)).unwrap();
        found.push((name.to_owned(), columns(connection, name), usize::try_from(rows).unwrap()));
    }
    found
}

fn columns(connection: &Connection, table: &str) -> Vec<String> {
    let mut names = connection.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
    names.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The key of a row, whatever its table's is.
fn is_this(columns: &[String], connection: &Connection, table: &str, row: usize) -> (String, Vec<Value>) {
    let sql = format!("SELECT {} FROM {table} ORDER BY 1, 2 LIMIT 1 OFFSET {row}", columns.join(", "));
    let values: Vec<Value> =
        connection.query_row(&sql, (), |row| (0..columns.len()).map(|column| row.get(column)).collect()).unwrap();
    let named = columns.iter().enumerate().map(|(number, column)| format!("{column} IS ?{}", number + 1));
    (named.collect::<Vec<_>>().join(" AND "), values)
}

fn changed(value: &Value) -> Value {
    match value {
        Value::Integer(number) => Value::Integer(number + 1000),
        Value::Text(text) => {
            let mut text = text.clone();
            let last = text.pop();
            text.push(if last == Some('0') { '1' } else { '0' });
            Value::Text(text)
        }
        Value::Blob(octets) => {
            let mut octets = octets.clone();
            match octets.last_mut() {
                Some(last) => *last ^= 1,
                None => octets.push(1),
            }
            Value::Blob(octets)
        }
        other => other.clone(),
    }
}

/// Both messages are by signers who are revoked: whatever is done to the home, neither is authentic, and the check finds it.
fn judge(lab: &Lab, what: &str) {
    let check = lab.run(&["key", "check"]);
    assert_eq!(check.code, 65, "{what}: key check\n{check:?}");
    for (name, code) in [("OpenPGP", lab.verify()), ("S/MIME", lab.verify_smime())] {
        assert!([1, 65].contains(&code), "{what}: verify of {name} says {code}");
    }
}

#[test]
fn no_changed_column_makes_an_answer_better() {
    let whole = Lab::filled();
    assert_eq!((whole.verify(), whole.verify_smime(), whole.run(&["key", "check"]).code), (1, 1, 0));
    let mut cells = Vec::new();
    for (table, columns, rows) in tables(&whole.sqlite()) {
        for column in columns {
            // Nothing depends on the number of the only binding.
            if (table.as_str(), column.as_str()) != ("binding", "number") && table != "master" || column == "wrapped" {
                cells.extend((0..rows).map(|row| Cell { table: table.clone(), column: column.clone(), row }));
            }
        }
    }
    assert!(cells.len() > 80, "{}", cells.len());
    for Cell { table, column, row } in cells {
        let lab = whole.copy();
        let connection = lab.sqlite();
        let columns = columns(&connection, &table);
        let (key, mut values) = is_this(&columns, &connection, &table, row);
        let place = columns.iter().position(|name| *name == column).unwrap();
        values.push(changed(&values[place]));
        let sql = format!("UPDATE {table} SET {column} = ?{} WHERE {key}", values.len());
        assert_eq!(connection.execute(&sql, rusqlite::params_from_iter(values)).unwrap(), 1, "{sql}");
        drop(connection);
        judge(&lab, &format!("{table}.{column}, row {row}"));
    }
}

#[test]
fn no_row_that_is_gone_makes_an_answer_better() {
    let whole = Lab::filled();
    for (table, columns, rows) in tables(&whole.sqlite()) {
        for row in 0..rows {
            let lab = whole.copy();
            let connection = lab.sqlite();
            let (key, values) = is_this(&columns, &connection, &table, row);
            let sql = format!("DELETE FROM {table} WHERE {key}");
            assert_eq!(connection.execute(&sql, rusqlite::params_from_iter(values)).unwrap(), 1, "{sql}");
            drop(connection);
            judge(&lab, &format!("{table}, row {row}"));
        }
    }
}

#[test]
fn an_index_that_names_another_certificate_is_an_error() {
    let lab = Lab::filled();
    let text = lab.path("m");
    std::fs::write(&text, "From: me@example.org\nTo: v@example.org\nSubject: t\n\nhello\n").unwrap();
    // The address of one leads to the other: no one is encrypted to by mistake.
    let connection = lab.sqlite();
    let sql = "UPDATE address SET certificate = (SELECT number FROM certificate WHERE fingerprint <> ?1 LIMIT 1) WHERE sought = 'v@example.org'";
    assert_eq!(connection.execute(sql, [REVOKED]).unwrap(), 1);
    drop(connection);
    let sealed = lab.run(&["encrypt", "--to", "v@example.org", text.to_str().unwrap()]);
    assert_eq!((sealed.code, sealed.out.as_str()), (65, ""), "{sealed:?}");
    assert!(sealed.err.contains("index of address: damaged"), "{sealed:?}");
}

#[test]
fn damage_is_named_and_what_can_be_is_repaired() {
    let whole = Lab::filled();
    let own = whole.run(&["key", "show", "--json", "me@example.org"]).out;
    let own = own.split("\"fingerprint\":\"").nth(1).unwrap()[..40].to_owned();
    let damaged_octets = format!(
        "UPDATE certificate SET octets = CAST(substr(octets, 1, length(octets) - 1) || x'00' AS BLOB) WHERE fingerprint = '{REVOKED}'"
    );
    // What is done, what the check and the repair say of it, what the repair makes of it, and whether the revoked signer is still known to be that.
    let cases = [
        ("UPDATE handle SET sought = sought || 'x' WHERE sought <> ''", "index of handle", "repaired", true),
        ("DELETE FROM address", "index of address", "repaired", true),
        ("UPDATE certificate SET addresses = 'x@example.org'", &format!("certificate {own}"), "repaired", true),
        (&damaged_octets, &format!("certificate {REVOKED}"), "lost", false),
        ("UPDATE binding SET subject = 'y@example.org'", "bindings of", "lost", true),
        ("UPDATE secret SET sealed = x'00'", &format!("secret key of {own}"), "lost", true),
        ("UPDATE statement SET octets = x'3000'", "revocation list", "lost", true),
        ("DELETE FROM statement", "the set of revocation lists", "lost", true),
    ];
    for (sql, found, outcome, is_revoked) in cases {
        let lab = whole.copy();
        assert!(lab.sqlite().execute(sql, ()).unwrap() > 0, "{sql}");
        let check = lab.run(&["key", "check"]);
        assert!(check.code == 65 && check.out.contains(&format!("damaged {found}")), "{sql}\n{check:?}");
        assert_eq!(lab.run(&["key", "check"]), check, "looking changes nothing");
        let repair = lab.run(&["key", "check", "--repair"]);
        assert_eq!(repair.code, if outcome == "lost" { 65 } else { 0 }, "{sql}\n{repair:?}");
        assert!(repair.out.contains(&format!("{outcome} {found}")), "{sql}\n{repair:?}");
        let after = lab.run(&["key", "check"]);
        assert_eq!((after.code, after.out.as_str()), (0, ""), "{sql}\n{after:?}");
        assert_eq!(lab.run(&["key", "list"]).code, 0, "{sql}");
        assert_eq!(lab.verify(), if is_revoked { 1 } else { 0 }, "{sql}");
        // What is lost comes again.
        assert_eq!(lab.run(&["key", "import", &data("crl.pem"), &data("revoked.pgp")]).code, 0, "{sql}");
        assert_eq!((lab.verify(), lab.verify_smime()), (1, 1), "{sql}");
    }
}

#[test]
fn damaged_pages_are_an_error() {
    let lab = Lab::filled();
    let whole = std::fs::read(lab.database()).unwrap();
    let mut noticed = 0;
    for page in 1..whole.len() / 4096 {
        let mut octets = whole.clone();
        octets[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(lab.database(), octets).unwrap();
        for code in [lab.verify(), lab.verify_smime()] {
            assert!([1, 65].contains(&code), "page {page}: {code}");
            noticed += usize::from(code == 65);
        }
        assert_eq!(lab.run(&["key", "check"]).code, 65, "page {page}");
    }
    assert!(noticed > 0);
    // Cut off in the middle.
    std::fs::write(lab.database(), &whole[..whole.len() / 2]).unwrap();
    assert_eq!((lab.verify(), lab.verify_smime()), (65, 65));
}

/// The sender of a message is not told that it is at fault, and a mail server tries again.
#[test]
fn mail_waits_until_a_damaged_home_is_mended() {
    let lab = Lab::filled();
    let rule = "[[rule]]\nname = \"in\"\ndirection = \"inbound\"\naction = \"annotate\"\n";
    let config = format!(
        "home = {:?}\nhostname = \"mail.example.org\"\nlocal-domains = [\"example.org\"]\n{rule}",
        lab.home.display().to_string()
    );
    fs::write(lab.path("config.toml"), config).unwrap();
    let filter = || {
        let arguments = ["--at", super::lab::AT, "filter", "-c", "config.toml", "--", "me@example.org"];
        let mut command = lab.command_at(&lab.home, &arguments);
        ran(command.stdin(File::open(data("signed.eml")).unwrap()))
    };
    let before = filter();
    assert_eq!(before.code, 0, "{}", before.err);
    assert!(before.out.contains("Authentication-Results:"), "{}", before.out);
    lab.sqlite().execute("UPDATE certificate SET octets = CAST(octets || x'00' AS BLOB)", ()).unwrap();
    let after = filter();
    assert_eq!((after.code, after.out.as_str()), (75, ""), "{}", after.err);
}
