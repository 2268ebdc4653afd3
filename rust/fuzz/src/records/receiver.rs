//! Reads the wire with the receiving half of a session, whole and in pieces.

use std::sync::Arc;
use std::time::Duration;

use ktls_core::rekey::Reply;
use ktls_core::session::{
    KeySource, KeyUpdateLimit, KeyUpdatePolicy, SessionEvent, SessionRead, SessionReceiver,
    SessionSettings, UnsentLimit,
};
use ktls_core::wire::{ContentType, TLS13};
use ktls_core::{CryptoInfo, Direction, Error};

use super::scanner::replies;
use super::script::{MAX_ROOM, PeerScript, ScriptSetup, TOGETHER};

/// The data and events that the receiver returned, and how it ended.
#[derive(Debug, Default, Eq, PartialEq)]
struct ReceiverOutcome {
    data: Vec<u8>,
    /// The events, each with the number of data bytes before it.
    events: Vec<(usize, SessionEvent)>,
    /// The error that ended the stream, or `None` after a close_notify.
    end: Option<Error>,
}

/// Checks that data and events are the same, in the same order, however the wire arrives and is
/// read, and that the data is a prefix of what was sent.
pub(super) fn check(script: &PeerScript) {
    let whole = outcome(script, [usize::MAX; 4], [MAX_ROOM; 4]);
    let split = outcome(script, script.pieces, script.rooms);
    assert_eq!(split, whole);
    let sent: Vec<u8> = script
        .sent
        .iter()
        .filter(|record| record.record_type == ContentType::APPLICATION_DATA.0)
        .flat_map(|record| record.text.iter().copied())
        .collect();
    assert!(sent.starts_with(&whole.data), "the data was not sent");
    // The receiver and the scanner parse handshake messages with independent code.
    let replies = replies(&script.sent);
    assert!(
        replies.starts_with(&whole.replies()),
        "{whole:?}, but the scanner found {replies:?}"
    );
}

impl ReceiverOutcome {
    fn replies(&self) -> Vec<Reply> {
        let reply = |(_, event): &(usize, SessionEvent)| match event {
            SessionEvent::KeyUpdate(reply) => Some(*reply),
            _ => None,
        };
        self.events.iter().filter_map(reply).collect()
    }
}

fn outcome(script: &PeerScript, pieces: [usize; 4], rooms: [usize; 4]) -> ReceiverOutcome {
    // The first piece arrived together with the handshake.
    let (first, mut wire) = script.wire.split_at(pieces[0].min(script.wire.len()));
    let mut receiver = receiver(&script.setup, first);
    let (mut seen, mut pieces) = (ReceiverOutcome::default(), pieces.into_iter().cycle());
    for room in rooms.into_iter().cycle() {
        let mut out = vec![0; room];
        match receiver.read(&mut out, Duration::ZERO) {
            Ok(SessionRead::Data(count)) => seen.data.extend_from_slice(&out[..count.get()]),
            Ok(SessionRead::EventFirst) => {}
            Ok(SessionRead::EndOfStream) => break,
            Ok(SessionRead::NeedMore) if wire.is_empty() => {
                seen.end = receiver.check_end().err();
                break;
            }
            Ok(SessionRead::NeedMore) => {
                wire = fill(
                    &mut receiver,
                    wire,
                    pieces.next().expect("the cycle never ends"),
                );
            }
            Err(error) => {
                seen.end = Some(error);
                break;
            }
        }
        let event = receiver.poll();
        seen.events
            .extend(event.map(|event| (seen.data.len(), event)));
    }
    // The end is final: further reads return the same.
    let again = receiver.read(&mut [0; 100], Duration::ZERO);
    match seen.end {
        None => assert_eq!(again, Ok(SessionRead::EndOfStream)),
        Some(Error::Truncated) => assert_eq!(again, Ok(SessionRead::NeedMore)),
        Some(error) => assert_eq!(again, Err(error)),
    }
    assert_eq!(receiver.poll(), None);
    seen
}

/// Moves a piece of the wire into the receiver, and returns the rest of the wire.
fn fill<'a>(receiver: &mut SessionReceiver, wire: &'a [u8], piece: usize) -> &'a [u8] {
    let room = receiver.room(piece);
    assert!(!room.is_empty(), "the receiver needs more, and has no room");
    let count = piece.min(room.len()).min(wire.len());
    room[..count].copy_from_slice(&wire[..count]);
    receiver.filled(count);
    &wire[count..]
}

fn receiver(setup: &ScriptSetup, received: &[u8]) -> SessionReceiver {
    // A low limit, so that a script can exceed it.
    let key_updates = KeyUpdateLimit {
        count: 3,
        window: Duration::from_secs(1),
    };
    let setting = SessionSettings {
        provider: &TOGETHER,
        policy: KeyUpdatePolicy {
            key_updates,
            ..KeyUpdatePolicy::default()
        },
        stats: Arc::default(),
        unsent: UnsentLimit::BOUNDED,
    };
    let keys = Box::new(ScriptKeys {
        setup: *setup,
        generation: 0,
    });
    SessionReceiver::new(setup.info(0), keys, &setting, received)
        .expect("the provider has every cipher")
}

/// The keys of a script.
struct ScriptKeys {
    setup: ScriptSetup,
    generation: u64,
}

impl KeySource for ScriptKeys {
    fn next(&mut self, _direction: Direction) -> Result<CryptoInfo, Error> {
        if self.setup.version != TLS13 {
            return Err(Error::NoRekeyIn12);
        }
        self.generation += 1;
        Ok(self.setup.info(self.generation))
    }

    fn is_client(&self) -> bool {
        self.setup.is_client
    }

    fn ticket(&mut self, body: &[u8]) -> Result<(), Error> {
        if body.is_empty() {
            return Err(Error::BadTicket);
        }
        Ok(())
    }
}
