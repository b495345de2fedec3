//! The master's side: who typed the code.

use backupd_base::{Code, Context, Error, Result};
use opaque_ke::{ClientLogin, ClientLoginFinishParameters, CredentialResponse};
use rand::rngs::OsRng;

use super::{
    Binding, Enrolment, FinishAnswer, FinishRequest, NodeHello, PairingCode, StartAnswer,
    StartRequest, refusal,
    seal::{Direction, SessionKey},
    suite::Suite,
};
use crate::PROTOCOL_VERSION;

/// An exchange that waits for the node's first answer.
pub struct MasterExchange {
    code: PairingCode,
    state: ClientLogin<Suite>,
}

/// An exchange that waits for the node's last answer.
pub struct AwaitedHello {
    key: SessionKey,
    node_id: backupd_base::NodeId,
}

impl MasterExchange {
    /// Begins: the request says nothing about the code.
    ///
    /// # Errors
    /// `Internal` when the random generator fails.
    pub fn start(code: &PairingCode) -> Result<(Self, StartRequest)> {
        let start = ClientLogin::<Suite>::start(&mut OsRng, code.reveal().as_bytes())
            .map_err(|e| Error::new(Code::Internal, format!("begin the pairing: {e}")))?;
        let request = StartRequest {
            protocol: PROTOCOL_VERSION,
            ke1: start.message.serialize().to_vec(),
        };
        let exchange = Self {
            code: code.clone(),
            state: start.state,
        };
        Ok((exchange, request))
    }

    /// Checks that the node knows the code and sees this very connection; only then is anything
    /// sealed for it. Costs an Argon2 (tens of milliseconds).
    ///
    /// # Errors
    /// `CodeRejected` when the code was mistyped or somebody is in between.
    pub fn finish(
        self,
        binding: &Binding,
        answer: &StartAnswer,
        enrolment: &Enrolment,
    ) -> Result<(AwaitedHello, FinishRequest)> {
        let context = binding.context(&answer.window_id);
        let ke2 = CredentialResponse::deserialize(&answer.ke2).map_err(|_| refusal())?;
        let parameters =
            ClientLoginFinishParameters::new(Some(&context), binding.identifiers(), None);
        let finish = self
            .state
            .finish(&mut OsRng, self.code.reveal().as_bytes(), ke2, parameters)
            .map_err(|_| refusal())?;
        let key = SessionKey::new(&finish.session_key);
        let request = FinishRequest {
            ke3: finish.message.serialize().to_vec(),
            enrolment: key.seal(Direction::MasterToNode, &enrolment.to_secret_json()),
        };
        let awaited = AwaitedHello {
            key,
            node_id: enrolment.node_id.clone(),
        };
        Ok((awaited, request))
    }
}

impl AwaitedHello {
    /// Reads the node's last answer.
    ///
    /// # Errors
    /// `CodeRejected` when it does not come from the node that proved the code.
    pub fn open(self, answer: &FinishAnswer) -> Result<NodeHello> {
        let json = self.key.open(Direction::NodeToMaster, &answer.hello)?;
        let hello: NodeHello =
            serde_json::from_slice(&json).context("read the node's last answer")?;
        if hello.node_id == self.node_id {
            Ok(hello)
        } else {
            Err(refusal())
        }
    }
}
