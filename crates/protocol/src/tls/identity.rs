//! A side's own key and certificate.

use std::fmt;

use backupd_base::{Code, Context, Error, ExposeSecret as _, Result, SecretString};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

use super::Pin;

/// An Ed25519 key and a certificate it signed for itself. Prints its pin only.
pub struct Identity {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    pin: Pin,
}

impl Identity {
    /// A new key from the system's random generator.
    ///
    /// # Errors
    /// When that generator fails.
    pub fn generate() -> Result<Self> {
        let key = KeyPair::generate_for(&PKCS_ED25519).context("make a TLS key")?;
        let mut params = CertificateParams::default();
        // The same words in every certificate: it says nothing about who holds it.
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "backupd");
        let certificate = params
            .self_signed(&key)
            .context("sign the TLS certificate")?;
        let key = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|e| Error::new(Code::Internal, format!("encode the TLS key: {e}")))?;
        Self::new(certificate.into(), key)
    }

    /// What [`Identity::to_secret_pem`] wrote.
    ///
    /// # Errors
    /// `Corrupt` when it is not that.
    pub fn from_secret_pem(pem: &SecretString) -> Result<Self> {
        let pem = pem.expose_secret().as_bytes();
        let read = || -> Result<Self> {
            Self::new(
                CertificateDer::from_pem_slice(pem).context("find the certificate")?,
                PrivateKeyDer::from_pem_slice(pem).context("find the key")?,
            )
        };
        read()
            .context("read the TLS identity")
            .map_err(|e| e.with_code(Code::Corrupt))
    }

    fn new(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Result<Self> {
        let pin = Pin::of(&certificate)?;
        Ok(Self {
            certificate,
            key,
            pin,
        })
    }

    /// Key and certificate as PEM, to be kept in a keyring or a file nobody else may read.
    #[must_use]
    pub fn to_secret_pem(&self) -> SecretString {
        let pem = |label: &str, der: &[u8]| {
            use base64::{Engine as _, engine::general_purpose::STANDARD};
            format!(
                "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                STANDARD.encode(der)
            )
        };
        // Both texts are moved into one secret; the halves are short-lived copies.
        let mut text = zeroize::Zeroizing::new(pem("PRIVATE KEY", self.key.secret_der()));
        text.push_str(&pem("CERTIFICATE", &self.certificate));
        SecretString::from(text.as_str())
    }

    /// The pin others know this side by.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.pin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_from_its_pem_as_it_was() {
        let made = Identity::generate().unwrap();
        let read = Identity::from_secret_pem(&made.to_secret_pem()).unwrap();
        assert_eq!(read.pin(), made.pin());
        assert_eq!(read.key.secret_der(), made.key.secret_der());
        assert_ne!(Identity::generate().unwrap().pin(), made.pin());
    }

    #[test]
    fn rubbish_is_called_corrupt() {
        let error = Identity::from_secret_pem(&"-----BEGIN".into()).unwrap_err();
        assert_eq!(error.code(), Code::Corrupt);
    }
}
