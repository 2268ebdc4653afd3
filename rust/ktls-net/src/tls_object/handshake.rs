//! The phase of the handshake, and its end.

use std::sync::MutexGuard;

use ktls_core::session::UnsentLimit;

use super::TlsObject;
use crate::NetError;
use crate::handshake::{
    ConfigAnswer, Handshake, HandshakeError, HandshakeProgress, ServerNameRequest,
};
use crate::mutex::lock;
use crate::session::DuplexSession;

/// A handshake under way; nothing once it has become a session.
pub(super) struct HandshakePhase {
    handshake: Option<Box<Handshake>>,
    /// The reason why the handshake did not become a session.
    failure: Option<NetError>,
}

/// How far a [`TlsObject`] is.
pub(super) enum ObjectPhase<'a> {
    Session(&'a DuplexSession),
    Handshake(MutexGuard<'a, HandshakePhase>),
}

impl HandshakePhase {
    pub(super) fn running(handshake: Handshake) -> Self {
        Self {
            handshake: Some(Box::new(handshake)),
            failure: None,
        }
    }

    pub(super) const fn over() -> Self {
        Self {
            handshake: None,
            failure: None,
        }
    }

    /// Returns the reason why the handshake has failed, if it has.
    pub(super) fn failure(&self) -> Option<NetError> {
        self.failure.clone()
    }

    pub(super) fn outgoing(&self) -> &[u8] {
        self.handshake
            .as_ref()
            .map_or(&[], |handshake| handshake.outgoing())
    }

    /// Moves bytes to be sent into `out`, and returns their number.
    pub(super) fn take_outgoing(&mut self, out: &mut [u8]) -> usize {
        let Some(handshake) = &mut self.handshake else {
            return 0;
        };
        let count = handshake.outgoing().len().min(out.len());
        out[..count].copy_from_slice(&handshake.outgoing()[..count]);
        handshake.sent(count);
        count
    }

    pub(super) fn wants(&self) -> usize {
        self.handshake
            .as_ref()
            .map_or(0, |handshake| handshake.wants())
    }
}

impl TlsObject {
    /// Returns the session, or the locked handshake if it is not complete.
    pub(super) fn phase(&self) -> ObjectPhase<'_> {
        if let Some(session) = self.session.get() {
            return ObjectPhase::Session(session);
        }
        let handshake = lock(&self.handshake);
        // Another thread may have completed the handshake before this one had the lock.
        match self.session.get() {
            Some(session) => ObjectPhase::Session(session),
            None => ObjectPhase::Handshake(handshake),
        }
    }

    /// Passes bytes of the peer to the handshake. Makes the session if that completes it.
    pub(super) fn continue_handshake(&self, phase: &mut HandshakePhase, bytes: &[u8]) {
        self.advance(phase, |handshake| handshake.receive(bytes));
    }

    /// Returns the request to choose a server's configuration: once, after the ClientHello has arrived.
    ///
    /// The caller answers with [`TlsObject::answer`].
    pub fn take_server_name_request(&self) -> Option<ServerNameRequest> {
        let mut phase = lock(&self.handshake);
        phase.handshake.as_mut()?.take_server_name_request()
    }

    /// Continues the handshake with what was chosen, or ends it. Errors are returned by later calls.
    ///
    /// # Errors
    /// EBUSY if another process of a fork uses the object.
    pub fn answer(&self, answer: ConfigAnswer) -> Result<(), NetError> {
        let _call = self.owner.enter()?;
        let mut phase = lock(&self.handshake);
        self.advance(&mut phase, |handshake| handshake.answer(answer));
        Ok(())
    }

    fn advance(
        &self,
        phase: &mut HandshakePhase,
        step: impl FnOnce(&mut Handshake) -> Result<HandshakeProgress, HandshakeError>,
    ) {
        let Some(handshake) = phase.handshake.as_mut().filter(|_| phase.failure.is_none()) else {
            return;
        };
        if let Err(error) = step(handshake) {
            phase.failure = Some(error.into());
        } else if handshake.is_complete() {
            let ended = phase.handshake.take();
            let made = ended.map_or(Ok(()), |handshake| self.establish(*handshake));
            phase.failure = made.err();
        }
    }

    fn establish(&self, mut handshake: Handshake) -> Result<(), NetError> {
        let last_flight = handshake.outgoing().to_vec();
        handshake.sent(last_flight.len());
        let established = handshake.finish()?;
        let session = DuplexSession::new(established, &self.policy, UnsentLimit::NONE)?;
        session.sender().queue_sealed(&last_flight);
        // The caller holds the lock of the phase: nobody else sets it.
        let _was_empty = self.session.set(session);
        Ok(())
    }
}
