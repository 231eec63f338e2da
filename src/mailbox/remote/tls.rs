//! TLS with the servers of mailboxes: always verified.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};

/// The configuration of TLS clients.
pub(in crate::mailbox) type Roots = Arc<ClientConfig>;

/// Trusts the root certificates of this machine. They are read once.
pub(in crate::mailbox) fn roots() -> Roots {
    static ROOTS: LazyLock<Roots> = LazyLock::new(|| {
        let mut roots = RootCertStore::empty();
        // A root certificate that cannot be read is not trusted: its servers are refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth())
    });
    Arc::clone(&ROOTS)
}
