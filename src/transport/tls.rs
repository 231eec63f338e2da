//! TLS under a connection, by rustls: what we show to clients, and what we ask of servers.

use std::{fs, path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    },
};

use super::Stream;
use crate::base::{Error, Kind, Result};

/// How a connection that we make is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not.
    None,
    /// By STARTTLS where it is offered, whoever the server is (RFC 7435).
    Opportunistic,
    /// By STARTTLS with a certificate for this name, or not at all (RFC 3207; RFC 9525).
    Verified(String),
}

/// A server's identity, for those who connect to us.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
}

impl Identity {
    /// Reads a certificate chain, the server's own first, and its private key: PEM both.
    ///
    /// # Errors
    ///
    /// `Config` when a file cannot be read, or when they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Identity> {
        let wrong = |path: &Path, why: String| Error::new(Kind::Config, format!("{}: {why}", path.display()));
        let octets = |path: &Path| fs::read(path).map_err(|error| wrong(path, error.to_string().to_lowercase()));
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets(certificate)?).collect();
        let chain = chain.map_err(|error| wrong(certificate, format!("not certificates in PEM: {error}")))?;
        let secret = PrivateKeyDer::from_pem_slice(&octets(key)?);
        let secret = secret.map_err(|error| wrong(key, format!("not a private key in PEM: {error}")))?;
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
        let config = config.map_err(|error| wrong(certificate, error.to_string().to_lowercase()))?;
        Ok(Identity { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Speaks TLS with a client from here on.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn accept(&self, stream: Box<dyn Stream>) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.acceptor.accept(stream).await?))
    }
}

/// Speaks TLS with servers.
#[derive(Clone)]
pub struct Connector {
    anybody: TlsConnector,
    verified: TlsConnector,
}

impl Connector {
    /// One that trusts, where that counts, the authorities that this machine trusts.
    pub fn new() -> Connector {
        let mut roots = RootCertStore::empty();
        // What cannot be read cannot be trusted, and a server under it will be refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Connector {
        let verified = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let provider = Arc::clone(verified.crypto_provider());
        let verifier = Arc::new(Anybody { provider });
        let anybody = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier);
        let anybody = anybody.with_no_client_auth();
        Connector { anybody: TlsConnector::from(Arc::new(anybody)), verified: TlsConnector::from(Arc::new(verified)) }
    }

    /// Speaks TLS with the server that is called `host`; unless `security` is `Verified`, with whoever answers.
    ///
    /// # Errors
    ///
    /// The handshake failed, or it is somebody else.
    pub async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        security: &Security,
    ) -> std::io::Result<Box<dyn Stream>> {
        let (connector, host) = match security {
            Security::Verified(name) => (&self.verified, name.as_str()),
            Security::None | Security::Opportunistic => (&self.anybody, host),
        };
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// Opportunistic TLS keeps out those who only listen; it asks for nobody's name (RFC 7435, section 3).
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, tokio_rustls::rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, tokio_rustls::rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
