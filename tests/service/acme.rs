//! `cert acme` and `[acme]`, with a real authority (acme2certifier) and real mailboxes (Dovecot).

mod ordered;
