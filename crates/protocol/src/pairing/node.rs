//! The node's side: who made the code.

use backupd_base::{Code, Error, Result};
use opaque_ke::{
    ClientRegistration, ClientRegistrationFinishParameters, CredentialFinalization,
    CredentialRequest, ServerLogin, ServerLoginParameters, ServerRegistration, ServerSetup,
};
use rand::{RngCore as _, rngs::OsRng};

use super::{
    Binding, Enrolment, FinishAnswer, FinishRequest, NodeHello, PairingCode, StartAnswer,
    StartRequest, refusal,
    seal::{Direction, SessionKey},
    suite::Suite,
};
use crate::PROTOCOL_VERSION;

/// The code and the keys of one window. Lives in memory only and dies with the window.
///
/// An OPAQUE record seals both sides' identifiers, and the master's is not known before it calls:
/// the record is made for each exchange, from the code and the window's own keys.
pub struct NodeWindow {
    id: String,
    code: PairingCode,
    setup: ServerSetup<Suite>,
}

/// An exchange that waits for the proof.
pub struct NodeExchange {
    window_id: String,
    binding: Binding,
    state: ServerLogin<Suite>,
}

/// An exchange whose master proved the code.
pub struct Proven {
    key: SessionKey,
}

impl NodeWindow {
    /// A window for `code`, with fresh keys and an id of its own.
    #[must_use]
    pub fn new(code: PairingCode) -> Self {
        let mut id = [0u8; 16];
        OsRng.fill_bytes(&mut id);
        Self {
            id: hex::encode(id),
            code,
            setup: ServerSetup::new(&mut OsRng),
        }
    }

    /// Its id: 32 hex digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Answers KE1 with KE2, which lets whoever asked test one guess: the caller has lowered its
    /// counter, durably, before. Costs an Argon2 (tens of milliseconds).
    ///
    /// # Errors
    /// `Incompatible` for another version of the protocol; else [`refusal`].
    pub fn answer(
        &self,
        binding: Binding,
        request: &StartRequest,
    ) -> Result<(NodeExchange, StartAnswer)> {
        check_version(request)?;
        let ke1 = CredentialRequest::deserialize(&request.ke1).map_err(|_| refusal())?;
        let context = binding.context(&self.id);
        let start = ServerLogin::start(
            &mut OsRng,
            &self.setup,
            Some(self.record(&binding)?),
            ke1,
            self.id.as_bytes(),
            ServerLoginParameters {
                context: Some(&context),
                identifiers: binding.identifiers(),
            },
        )
        .map_err(|_| refusal())?;
        let answer = StartAnswer {
            window_id: self.id.clone(),
            ke2: start.message.serialize().to_vec(),
        };
        let exchange = NodeExchange {
            window_id: self.id.clone(),
            binding,
            state: start.state,
        };
        Ok((exchange, answer))
    }

    /// Both halves of a registration, here, where the code is.
    fn record(&self, binding: &Binding) -> Result<ServerRegistration<Suite>> {
        let password = self.code.reveal().as_bytes();
        let register = || -> Result<_, opaque_ke::errors::ProtocolError> {
            let client = ClientRegistration::<Suite>::start(&mut OsRng, password)?;
            let server =
                ServerRegistration::start(&self.setup, client.message, self.id.as_bytes())?;
            let upload = client.state.finish(
                &mut OsRng,
                password,
                server.message,
                ClientRegistrationFinishParameters::new(binding.identifiers(), None),
            )?;
            Ok(ServerRegistration::finish(upload.message))
        };
        register().map_err(|e| Error::new(Code::Internal, format!("make the OPAQUE record: {e}")))
    }
}

/// Whether both sides speak one version of the protocol; costs no attempt.
///
/// # Errors
/// `Incompatible`, naming both.
fn check_version(request: &StartRequest) -> Result<()> {
    if request.protocol == PROTOCOL_VERSION {
        return Ok(());
    }
    Err(Error::new(
        Code::Incompatible,
        format!(
            "the master speaks version {} of the protocol, this agent version {PROTOCOL_VERSION}",
            request.protocol
        ),
    ))
}

impl StartRequest {
    /// Whether the request can be answered at all; a request that cannot costs no attempt, and
    /// tests no guess.
    ///
    /// # Errors
    /// `Incompatible` for another version of the protocol; [`refusal`] for what is no KE1.
    pub fn check(&self) -> Result<()> {
        check_version(self)?;
        CredentialRequest::<Suite>::deserialize(&self.ke1)
            .map(drop)
            .map_err(|_| refusal())
    }
}

impl NodeExchange {
    /// Checks the proof and opens the enrolment. `binding` is that of the connection the request
    /// came on.
    ///
    /// # Errors
    /// [`refusal`], whatever is wrong.
    pub fn finish(self, binding: &Binding, request: &FinishRequest) -> Result<(Proven, Enrolment)> {
        if *binding != self.binding {
            return Err(refusal());
        }
        let context = self.binding.context(&self.window_id);
        let parameters = ServerLoginParameters {
            context: Some(&context),
            identifiers: self.binding.identifiers(),
        };
        let ke3 = CredentialFinalization::deserialize(&request.ke3).map_err(|_| refusal())?;
        let finish = self.state.finish(ke3, parameters).map_err(|_| refusal())?;
        let key = SessionKey::new(&finish.session_key);
        let json = key
            .open(Direction::MasterToNode, &request.enrolment)
            .map_err(|_| refusal())?;
        let enrolment = serde_json::from_slice(&json).map_err(|_| refusal())?;
        Ok((Proven { key }, enrolment))
    }
}

impl Proven {
    /// The last answer, once the enrolment is durable.
    #[must_use]
    pub fn seal(self, hello: &NodeHello) -> FinishAnswer {
        let json = serde_json::to_vec(hello).expect("a struct of texts serializes");
        FinishAnswer {
            hello: self.key.seal(Direction::NodeToMaster, &json),
        }
    }
}
