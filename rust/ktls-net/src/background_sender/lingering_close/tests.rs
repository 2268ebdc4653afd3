use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;

const LIMITS: TaskLimits = TaskLimits {
    stalled: Duration::from_secs(60),
    silent: Duration::from_secs(10),
    for_open_sockets: false,
};
const DATA: &[u8] = &[7; 100_000];
/// The loopback delivers at once, but not within the call.
const TURNS: usize = 100_000;

/// A lingering close with its own clock, and its peer.
struct Scene {
    close: LingeringClose,
    fd: Arc<OwnedFd>,
    now: Instant,
    peer: TcpStream,
}

impl Scene {
    fn new(unsent: &[u8], ending: EndSignal) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address"));
        let (peer, _) = listener.accept().expect("a peer");
        let now = Instant::now();
        Self {
            close: LingeringClose::new(unsent.into(), ending, now),
            fd: Arc::new(near.expect("a connection").into()),
            now,
            peer,
        }
    }

    /// Creates a close whose TCP has no room.
    fn full(ending: EndSignal) -> Self {
        let scene = Self::new(DATA, ending);
        while write_now(scene.fd.as_fd(), &[0; 65536]).is_ok() {}
        scene
    }

    fn turn(&mut self) -> AfterTurn {
        self.close.turn(&mut LingerContext {
            fd: &self.fd,
            sink: &mut [0; 65536],
            now: self.now,
            limits: LIMITS,
            shared: false,
        })
    }

    /// Runs turns until `holds` returns `true`, and returns the result of the last turn.
    fn turn_until(&mut self, holds: impl Fn(&LingeringClose, AfterTurn) -> bool) -> AfterTurn {
        for _ in 0..TURNS {
            let next = self.turn();
            if holds(&self.close, next) {
                return next;
            }
        }
        panic!("nothing came of {TURNS} turns");
    }

    fn listens(&mut self) {
        self.turn_until(|close, _| matches!(close.stage, LingerStage::Listening { .. }));
    }

    /// Closes the descriptor. Returns how many bytes the peer reads, and whether a reset follows.
    fn end(self) -> (usize, bool) {
        let Self { fd, mut peer, .. } = self;
        drop(fd);
        let mut received = Vec::new();
        let end = peer.read_to_end(&mut received);
        (received.len(), end.is_err())
    }
}

#[test]
fn it_is_done_when_the_peer_is() {
    let mut scene = Scene::new(DATA, EndSignal::Fin);
    scene.peer.write_all(b"unread").expect("room");
    scene.peer.shutdown(std::net::Shutdown::Write).expect("FIN");
    scene.turn_until(|_, next| next == AfterTurn::Done);
    assert_eq!(scene.end(), (DATA.len(), false));
}

#[test]
fn a_reset_comes_behind_what_was_delivered() {
    let mut scene = Scene::new(DATA, EndSignal::Reset);
    scene.peer.write_all(b"unread").expect("room");
    scene.peer.shutdown(std::net::Shutdown::Write).expect("FIN");
    scene.turn_until(|_, next| next == AfterTurn::Done);
    assert_eq!(scene.end(), (DATA.len(), true));
}

#[test]
fn a_silent_peer_that_has_everything_is_left_alone_after_some_time() {
    for (ending, reset) in [(EndSignal::Fin, false), (EndSignal::Reset, true)] {
        let mut scene = Scene::new(DATA, ending);
        scene.listens();
        scene.now += LIMITS.silent - Duration::from_millis(1);
        assert_ne!(scene.turn(), AfterTurn::Done);
        scene.now += Duration::from_millis(1);
        assert_eq!(scene.turn(), AfterTurn::Done);
        assert_eq!(scene.end(), (DATA.len(), reset));
    }
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_and_learns_it() {
    let mut scene = Scene::full(EndSignal::Fin);
    assert_ne!(scene.turn(), AfterTurn::Done);
    scene.now += LIMITS.stalled;
    scene.turn_until(|_, next| next == AfterTurn::Done);
    assert!(scene.end().1);
}

#[test]
fn a_peer_that_takes_a_little_is_not_given_up() {
    let mut scene = Scene::full(EndSignal::Fin);
    for _ in 0..10 {
        scene.turn();
        let mut some = [0; 1 << 20];
        scene.peer.read_exact(&mut some).expect("bytes");
        let before = scene.close.progress;
        scene.now += LIMITS.stalled - Duration::from_millis(1);
        scene.turn_until(|close, _| close.progress > before || close.unsent.is_empty());
        if scene.close.unsent.is_empty() {
            break;
        }
    }
    let gone = scene
        .turn_until(|close, next| next == AfterTurn::Done || close.stage != LingerStage::Sending);
    assert_ne!(gone, AfterTurn::Done);
}

#[test]
fn a_peer_that_never_stops_talking_is_not_listened_to_for_ever() {
    let mut scene = Scene::new(DATA, EndSignal::Fin);
    scene.listens();
    let mut peer = scene.peer.try_clone().expect("another descriptor");
    let talking = std::thread::spawn(move || while peer.write_all(&[0; 65536]).is_ok() {});
    scene.turn_until(|_, next| next == AfterTurn::Done);
    drop(scene);
    talking.join().expect("its end");
}
