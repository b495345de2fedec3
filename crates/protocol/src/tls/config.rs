//! rustls configurations: who may be at the other end.

use std::sync::Arc;

use backupd_base::{Code, Context, Error, Result};
use rustls::{
    CertificateError, ClientConfig, ConnectionCommon, DigitallySignedStruct, DistinguishedName,
    PeerIncompatible, ServerConfig, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        NoServerSessionStorage,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use super::{Identity, Pin};

/// Label of the exporter (RFC 8446, section 7.5) that names one connection in a pairing.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-backupd-pairing-v1";

/// For the side that listens. `peer`: the only key accepted, or `None` for a pairing, where any
/// key is accepted that its owner proves to hold.
///
/// # Errors
/// When the identity's key is not one rustls can sign with.
pub fn server_config(identity: &Identity, peer: Option<Pin>) -> Result<ServerConfig> {
    let check = PeerCheck::new(peer);
    let mut config = ServerConfig::builder_with_provider(check.provider.clone())
        .with_protocol_versions(&[&TLS13])
        .context("configure TLS 1.3")?
        .with_client_cert_verifier(Arc::new(check))
        .with_single_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .context("use the TLS key")?;
    // Every connection is a whole handshake: a pin that was revoked does not live on in a ticket.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// For the side that dials; `peer` as in [`server_config`].
///
/// # Errors
/// When the identity's key is not one rustls can sign with.
pub fn client_config(identity: &Identity, peer: Option<Pin>) -> Result<ClientConfig> {
    let check = PeerCheck::new(peer);
    let mut config = ClientConfig::builder_with_provider(check.provider.clone())
        .with_protocol_versions(&[&TLS13])
        .context("configure TLS 1.3")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(check))
        .with_client_auth_cert(vec![identity.certificate.clone()], identity.key.clone_key())
        .context("use the TLS key")?;
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(config)
}

/// The pin of whoever is at the other end of a finished handshake.
///
/// # Errors
/// `WrongPeer` when the peer showed no certificate.
pub fn peer_pin<Side>(connection: &ConnectionCommon<Side>) -> Result<Pin> {
    let certificate = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or_else(|| Error::new(Code::WrongPeer, "the peer showed no certificate"))?;
    Pin::of(certificate)
}

/// 32 bytes that both ends of this one TLS connection know and nobody else can arrange.
///
/// # Errors
/// Before the handshake is done.
pub fn exporter<Side>(connection: &ConnectionCommon<Side>) -> Result<[u8; 32]> {
    connection
        .export_keying_material([0; 32], EXPORTER_LABEL, None)
        .context("name the TLS connection")
}

/// Accepts one key, or any; verifies in both cases that the peer holds it.
#[derive(Debug)]
struct PeerCheck {
    allowed: Option<Pin>,
    provider: Arc<CryptoProvider>,
}

impl PeerCheck {
    fn new(allowed: Option<Pin>) -> Self {
        Self {
            allowed,
            provider: Arc::new(aws_lc_rs::default_provider()),
        }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        let pin = Pin::of(certificate).map_err(|_| CertificateError::BadEncoding)?;
        match self.allowed {
            Some(allowed) if allowed != pin => {
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            _ => Ok(()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The configurations offer TLS 1.3 only; this is the second lock.
const NO_TLS12: rustls::Error =
    rustls::Error::PeerIncompatible(PeerIncompatible::Tls12NotOfferedOrEnabled);

impl ServerCertVerifier for PeerCheck {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(certificate)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

impl ClientCertVerifier for PeerCheck {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(certificate)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(NO_TLS12)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{ClientConnection, ServerConnection};

    /// Both handshakes in memory.
    fn shake(
        client: ClientConfig,
        server: ServerConfig,
    ) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
        let name = ServerName::try_from("backupd").unwrap();
        let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok((client, server))
    }

    fn pair() -> (Identity, Identity) {
        (Identity::generate().unwrap(), Identity::generate().unwrap())
    }

    #[test]
    fn both_ends_see_the_others_pin_and_the_same_exporter() {
        let (master, node) = pair();
        let (client, server) = shake(
            client_config(&master, None).unwrap(),
            server_config(&node, None).unwrap(),
        )
        .unwrap();
        assert_eq!(peer_pin(&client).unwrap(), node.pin());
        assert_eq!(peer_pin(&server).unwrap(), master.pin());
        assert_eq!(exporter(&client).unwrap(), exporter(&server).unwrap());

        let (other, _) = shake(
            client_config(&master, None).unwrap(),
            server_config(&node, None).unwrap(),
        )
        .unwrap();
        assert_ne!(exporter(&client).unwrap(), exporter(&other).unwrap());
    }

    #[test]
    fn a_pin_accepts_its_key_and_no_other_on_either_side() {
        let (master, node) = pair();
        let other = Identity::generate().unwrap();
        let run = |client: &Identity, wants: Pin, server: &Identity, allows: Pin| {
            shake(
                client_config(client, Some(wants)).unwrap(),
                server_config(server, Some(allows)).unwrap(),
            )
            .map(drop)
        };
        run(&master, node.pin(), &node, master.pin()).unwrap();
        let refused: rustls::Error = CertificateError::ApplicationVerificationFailure.into();
        assert_eq!(
            run(&other, node.pin(), &node, master.pin()).unwrap_err(),
            refused
        );
        assert_eq!(
            run(&master, node.pin(), &other, master.pin()).unwrap_err(),
            refused
        );
    }

    #[test]
    fn anothers_certificate_without_its_key_is_refused_even_while_pairing() {
        let (master, node) = pair();
        let thief = Identity::generate().unwrap();
        let mut posing = thief;
        posing.certificate = master.certificate.clone();
        // rustls itself will not use a key that does not fit; a thief's own stack would.
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerCheck::new(None)))
            .with_client_cert_resolver(Arc::new(Posing(posing)));
        for allowed in [None, Some(master.pin())] {
            let error = shake(config.clone(), server_config(&node, allowed).unwrap()).unwrap_err();
            assert_eq!(
                error,
                rustls::Error::InvalidCertificate(CertificateError::BadSignature)
            );
        }
    }

    #[test]
    fn without_a_certificate_nobody_gets_in() {
        let node = Identity::generate().unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(PeerCheck::new(None)))
            .with_no_client_auth();
        let error = shake(config, server_config(&node, None).unwrap()).unwrap_err();
        assert_eq!(error, rustls::Error::NoCertificatesPresented);
    }

    #[derive(Debug)]
    struct Posing(Identity);

    impl rustls::client::ResolvesClientCert for Posing {
        fn resolve(
            &self,
            _hints: &[&[u8]],
            _schemes: &[SignatureScheme],
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            let key = aws_lc_rs::sign::any_supported_type(&self.0.key).unwrap();
            Some(Arc::new(rustls::sign::CertifiedKey::new(
                vec![self.0.certificate.clone()],
                key,
            )))
        }

        fn has_certs(&self) -> bool {
            true
        }
    }
}
