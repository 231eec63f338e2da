//! The tables, version by version.

/// The migrations from each version to the next. A released one is never changed.
pub(super) const MIGRATIONS: [&str; 3] = [VERSION_1, VERSION_2, VERSION_3];

/// The first version with digests, which are not made by SQL: `integrity::write_digests` fills its tables.
pub(super) const WITH_DIGESTS: usize = 3;

const VERSION_1: &str = "
-- A certificate, and what is asked about it, so that no protocol's parser is needed to find it. Lists: handles and secrets (those
-- with a secret key) separated by commas, addresses by tabs.
CREATE TABLE certificate (
    number      INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL UNIQUE,
    protocol    TEXT NOT NULL,
    handles     TEXT NOT NULL,
    secrets     TEXT NOT NULL,
    addresses   TEXT NOT NULL,
    octets      BLOB NOT NULL
) STRICT;

-- What a key is looked up by: '>' and a fingerprint of 64 digits, whose key ID is its beginning, or '<' and any other backwards.
CREATE TABLE handle (
    sought      TEXT NOT NULL,
    certificate INTEGER NOT NULL REFERENCES certificate ON DELETE CASCADE,
    PRIMARY KEY (sought, certificate)
) STRICT, WITHOUT ROWID;
CREATE INDEX handle_of ON handle (certificate);

-- Addresses that certificates claim, in lower case.
CREATE TABLE address (
    sought      TEXT NOT NULL,
    certificate INTEGER NOT NULL REFERENCES certificate ON DELETE CASCADE,
    PRIMARY KEY (sought, certificate)
) STRICT, WITHOUT ROWID;
CREATE INDEX address_of ON address (certificate);

-- Secret parts, sealed under the data key.
CREATE TABLE secret (
    certificate INTEGER PRIMARY KEY REFERENCES certificate ON DELETE CASCADE,
    sealed      BLOB NOT NULL
) STRICT;

-- Why a certificate is believed: an address, '*' for its user IDs, 'anchor'. In the order in which it was said; the time is RFC 3339.
CREATE TABLE binding (
    number      INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    subject     TEXT NOT NULL,
    sought      TEXT NOT NULL,
    origin      TEXT NOT NULL,
    at          TEXT NOT NULL,
    UNIQUE (fingerprint, subject)
) STRICT;
CREATE INDEX binding_sought ON binding (sought);

-- What issuers say about revocation: CRLs and OCSP responses, by the SHA-256 of their DER.
CREATE TABLE statement (
    digest      BLOB PRIMARY KEY,
    octets      BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- The data key, wrapped under the master key, and where that comes from: 'file' (a path, or empty for the one in the home), 'credential'
-- (a name) or 'passphrase' (with a salt for Argon2id).
CREATE TABLE master (
    number      INTEGER PRIMARY KEY CHECK (number = 1),
    kind        TEXT NOT NULL,
    name        TEXT NOT NULL,
    salt        BLOB NOT NULL,
    wrapped     BLOB NOT NULL
) STRICT;
";

const VERSION_2: &str = "
-- The latest capabilities that the owner of a certificate announced (RFC 8551, section 2.5.2): SMIMECapabilities in DER, when, by their own
-- clock, and when it was heard. The times are RFC 3339.
CREATE TABLE capability (
    certificate INTEGER PRIMARY KEY REFERENCES certificate ON DELETE CASCADE,
    list        BLOB NOT NULL,
    said        TEXT NOT NULL,
    heard       TEXT NOT NULL
) STRICT;
";

const VERSION_3: &str = "
-- Digests (SHA-256) of what belongs to a certificate: of its bindings, of what its owner said that they read, of its sealed secret parts, each
-- empty where there is nothing; and of the row itself with these three.
ALTER TABLE certificate ADD COLUMN bound BLOB NOT NULL DEFAULT x'';
ALTER TABLE certificate ADD COLUMN heard BLOB NOT NULL DEFAULT x'';
ALTER TABLE certificate ADD COLUMN sealed BLOB NOT NULL DEFAULT x'';
ALTER TABLE certificate ADD COLUMN digest BLOB NOT NULL DEFAULT x'';

-- What a key is looked up by: '>' and a fingerprint of 64 digits, whose key ID is its beginning, or '<' and any other backwards. Each row
-- names the one after it; the first is empty.
DROP TABLE handle;
CREATE TABLE handle (
    sought      TEXT NOT NULL,
    certificate INTEGER NOT NULL,
    next        TEXT NOT NULL,
    PRIMARY KEY (sought, certificate)
) STRICT, WITHOUT ROWID;

-- Addresses that certificates claim or are believed for, in lower case, and 'anchor'; as above.
DROP TABLE address;
CREATE TABLE address (
    sought      TEXT NOT NULL,
    certificate INTEGER NOT NULL,
    next        TEXT NOT NULL,
    PRIMARY KEY (sought, certificate)
) STRICT, WITHOUT ROWID;
DROP INDEX binding_sought;

-- What is true of a table as a whole: of 'certificate' the number of its rows (8 octets), of 'statement' and 'master' a digest; 'erase' is
-- there while octets of a removed secret key may still be in the log.
CREATE TABLE total (
    name        TEXT PRIMARY KEY,
    value       BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What a repair has set aside: rows that are not what was written.
CREATE TABLE lost (
    number      INTEGER PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    what        TEXT NOT NULL,
    octets      BLOB NOT NULL
) STRICT;
";
