//! TLS with rustls: the identity shown to clients, and the verification of servers.

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

/// How an outgoing connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// No TLS.
    None,
    /// STARTTLS if the server offers it, without verification (RFC 7435).
    Opportunistic,
    /// STARTTLS with a certificate for this name, or no connection (RFC 3207; RFC 9525).
    Verified(String),
}

/// The certificate chain and key shown to clients.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
}

impl Identity {
    /// Reads a certificate chain, the server's own certificate first, and its private key, both in PEM.
    ///
    /// # Errors
    ///
    /// `Config`: a file cannot be read, or the key does not belong to the certificate.
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

    /// Starts TLS with a client.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn accept(&self, stream: Box<dyn Stream>) -> std::io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.acceptor.accept(stream).await?))
    }
}

/// Makes TLS connections with servers.
#[derive(Clone)]
pub struct Connector {
    unverified: TlsConnector,
    verified: TlsConnector,
}

impl Connector {
    /// A connector that trusts the root certificates of this machine.
    pub fn new() -> Connector {
        let mut roots = RootCertStore::empty();
        // A root certificate that cannot be read is not trusted: its servers are refused.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::trusting(roots)
    }

    fn trusting(roots: RootCertStore) -> Connector {
        let verified = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let provider = Arc::clone(verified.crypto_provider());
        let verifier = Arc::new(NoVerification { provider });
        let unverified = ClientConfig::builder().dangerous().with_custom_certificate_verifier(verifier);
        let unverified = unverified.with_no_client_auth();
        Connector {
            unverified: TlsConnector::from(Arc::new(unverified)),
            verified: TlsConnector::from(Arc::new(verified)),
        }
    }

    /// Starts TLS with the server `host`. The server's certificate is verified if `security` is `Verified`.
    ///
    /// # Errors
    ///
    /// The handshake or the verification failed.
    pub async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        security: &Security,
    ) -> std::io::Result<Box<dyn Stream>> {
        let (connector, host) = match security {
            Security::Verified(name) => (&self.verified, name.as_str()),
            Security::None | Security::Opportunistic => (&self.unverified, host),
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

/// Opportunistic TLS protects from passive attackers. It does not verify the server (RFC 7435, section 3).
#[derive(Debug)]
struct NoVerification {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoVerification {
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
