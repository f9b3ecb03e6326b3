//! When a peer of an HTTP/2 connection costs more than it brings.
//!
//! What the h2 crate (0.4.20) bounds by itself, and is not counted here:
//!
//! - CONTINUATION without end: frames of a block, a quarter more than the header list needs, at
//!   least 5;
//! - a header list that is too long: 431 and a reset by h2 itself; far too long:
//!   ENHANCE_YOUR_CALM;
//! - resets of requests not accepted yet: `max_pending_accept_reset_streams`, 20;
//! - errors that make us reset (MadeYouReset), and streams refused over the limit:
//!   `max_local_error_reset_streams`, in a connection's life;
//! - DATA without payload: 100 that do not end a stream, in a connection's life;
//! - DATA of a few bytes: a budget for what each frame costs besides its bytes, half the
//!   connection's window;
//! - replies nobody reads: PING and SETTINGS are answered before more is read.
//!
//! Four are left. Requests that are accepted and reset at once (rapid reset) are counted by
//! [`Resets`]. PING, SETTINGS, PRIORITY, WINDOW_UPDATE, resets and unknown frames without end are
//! counted by [`IdleFrames`], from the bytes that arrive, since h2 does not tell of them. A head
//! that does not end, behind which nothing else can come, is bounded by time: [`IdleFrames`] knows
//! that there is one. A peer that lets us send nothing, by its windows or by not reading, meets the
//! deadlines of streams and of the bridge.

use super::frame::{Frames, Kind};

/// Why a connection is to be closed, with GOAWAY and ENHANCE_YOUR_CALM where that can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flood {
    /// Too many requests were reset before they were answered.
    EarlyResets,
    /// Too many frames that bring nothing.
    IdleFrames,
}

impl Flood {
    /// For the log, in Envoy's manner: a word without spaces.
    pub fn reason(self) -> &'static str {
        match self {
            Self::EarlyResets => "http2.early_resets",
            Self::IdleFrames => "http2.idle_frames",
        }
    }
}

/// A request that ended sooner, without an answer and by the client's reset, is an early reset
/// (Envoy's `premature`). Microseconds.
pub const EARLY_MICROS: u64 = 2_000_000;

/// The requests of one connection that have ended.
#[derive(Clone, Copy, Debug)]
pub struct Resets {
    ended: u64,
    early: u64,
    max: u64,
}

impl Resets {
    /// `max`: the tuning's `http2_early_resets`.
    pub fn new(max: u32) -> Self {
        Self {
            ended: 0,
            early: 0,
            max: u64::from(max),
        }
    }

    /// A request has ended. `early`: the client reset it before an answer, within
    /// [`EARLY_MICROS`]. A client that cancels much, but not most, is let be.
    ///
    /// # Errors
    /// So many as `max` ended so, and half of all its requests.
    pub fn ended(&mut self, early: bool) -> Result<(), Flood> {
        self.ended += 1;
        self.early += u64::from(early);
        match early && self.early >= self.max && 2 * self.early >= self.ended {
            true => Err(Flood::EarlyResets),
            false => Ok(()),
        }
    }
}

/// The frames of one connection that bring neither a request nor data.
///
/// Each costs one of a store, which traffic and time fill: a request brings some, and so does data
/// in either direction, since a peer answers what it is sent with WINDOW_UPDATE. What is sent must
/// be looked at, too: an answer to a PING must not pay for the next. The clock is asked only when
/// the store is empty.
#[derive(Clone, Copy, Debug)]
pub struct IdleFrames {
    received: Frames,
    sent: Frames,
    stored: u64,
    per_second: u64,
    /// When the store was last filled by time, in microseconds.
    filled_at: u64,
}

/// What a frame with a head or data brings: two WINDOW_UPDATE, a reset, a PING.
const PER_FRAME: u64 = 4;
/// So many seconds' worth are stored at most.
const SECONDS_MAX: u64 = 10;

impl IdleFrames {
    /// `per_second`: the tuning's `http2_idle_frames`. `from_client`: the peer's bytes begin with
    /// the preface of clients. Times are in microseconds.
    pub fn new(per_second: u32, from_client: bool, now: u64) -> Self {
        let per_second = u64::from(per_second);
        Self {
            received: Frames::new(from_client),
            sent: Frames::new(!from_client),
            stored: per_second * SECONDS_MAX,
            per_second,
            filled_at: now,
        }
    }

    /// These bytes were received, behind those of the last call.
    ///
    /// # Errors
    /// There were too many frames in them.
    pub fn received(&mut self, bytes: &[u8], now: impl Fn() -> u64) -> Result<(), Flood> {
        let mut earned = 0;
        let mut spent = 0;
        self.received.walk(bytes, |kind, length| match kind {
            Kind::Headers => earned += PER_FRAME,
            Kind::Data if length > 0 => earned += PER_FRAME,
            // h2 counts these.
            Kind::Data | Kind::Continuation => {}
            Kind::Other => spent += 1,
        });
        self.balance(earned, spent, now)
    }

    /// These bytes were sent, behind those of the last call.
    pub fn sent(&mut self, bytes: &[u8]) {
        let mut earned = 0;
        self.sent.walk(bytes, |kind, length| match kind {
            Kind::Headers => earned += PER_FRAME,
            Kind::Data if length > 0 => earned += PER_FRAME,
            Kind::Data | Kind::Continuation | Kind::Other => {}
        });
        self.store(self.stored + earned);
    }

    /// The last stream that the peer has opened: for a GOAWAY.
    pub fn last_stream(&self) -> u32 {
        self.received.last_stream()
    }

    /// Requests whose head has come whole, of a client.
    pub fn requests(&self) -> u32 {
        self.received.opened()
    }

    /// The number of the head that the peer has begun and not ended; 0: it has not said hello,
    /// which its first frame is. `None`: all is said that was begun. Whatever it says meanwhile,
    /// nothing of it is heard: time is what bounds it.
    pub fn unfinished_head(&self) -> Option<u32> {
        self.received.unfinished()
    }

    fn balance(&mut self, earned: u64, spent: u64, now: impl Fn() -> u64) -> Result<(), Flood> {
        // What came in one piece is balanced before the store's limit is looked at.
        if self.stored + earned < spent {
            let now = now();
            let micros = now.saturating_sub(self.filled_at);
            self.filled_at = now;
            self.store(self.stored + micros.saturating_mul(self.per_second) / 1_000_000);
        }
        let left = (self.stored + earned).checked_sub(spent);
        self.store(left.ok_or(Flood::IdleFrames)?);
        Ok(())
    }

    fn store(&mut self, count: u64) {
        self.stored = count.min(self.per_second * SECONDS_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::{Flood, IdleFrames, Resets};
    use crate::http2::frame::tests::{frame, preface};

    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const PING: u8 = 6;
    const CONTINUATION: u8 = 9;
    const UNKNOWN: u8 = 0x77;

    /// Runs of requests that ended early or not; whether the last is one too many.
    fn check_resets(max: u32, runs: &[(u32, bool)], expected: Result<(), Flood>) {
        let mut resets = Resets::new(max);
        let total: u32 = runs.iter().map(|(count, _)| count).sum();
        let mut number = 0;
        for (count, early) in runs {
            for _ in 0..*count {
                number += 1;
                let verdict = resets.ended(*early);
                let expected = if number == total { expected } else { Ok(()) };
                assert_eq!(verdict, expected, "{runs:?} at {number}");
            }
        }
    }

    #[test]
    fn resets() {
        let closed = Err(Flood::EarlyResets);
        check_resets(250, &[(249, true)], Ok(()));
        check_resets(250, &[(250, true)], closed);
        check_resets(250, &[(250, false), (249, true)], Ok(()));
        check_resets(250, &[(250, false), (250, true)], closed);
        check_resets(250, &[(10_000, false), (9_999, true)], Ok(()));
        check_resets(250, &[(10_000, false), (10_000, true)], closed);
        check_resets(250, &[(249, true), (10_000, false), (9_751, true)], closed);
        check_resets(10, &[(9, true)], Ok(()));
        check_resets(10, &[(10, true)], closed);
    }

    /// Milliseconds and what comes then; whether that is too much.
    fn check_frames(per_second: u32, steps: &[(u64, Vec<u8>, Result<(), Flood>)]) {
        let mut frames = IdleFrames::new(per_second, true, 0);
        assert_eq!(frames.received(&preface(), || 0), Ok(()));
        for (index, (millis, bytes, expected)) in steps.iter().enumerate() {
            let verdict = frames.received(bytes, || millis * 1000);
            assert_eq!(verdict, *expected, "step {index}");
        }
    }

    fn many(count: usize, kind: u8, payload: usize) -> Vec<u8> {
        frame(kind, 1, payload).repeat(count)
    }

    #[test]
    fn frames_that_bring_nothing() {
        let closed = Err(Flood::IdleFrames);
        for kind in [2, RST_STREAM, 4, 5, PING, 7, 8, UNKNOWN] {
            check_frames(10, &[(0, many(100, kind, 8), Ok(()))]);
            check_frames(10, &[(0, many(101, kind, 8), closed)]);
            let slowly = [
                (0, many(100, kind, 8), Ok(())),
                (1000, many(10, kind, 8), Ok(())),
                (2000, many(10, kind, 8), Ok(())),
                (2099, many(1, kind, 8), closed),
            ];
            check_frames(10, &slowly);
        }
        let hours = [
            (0, many(100, PING, 8), Ok(())),
            (3_600_000, many(100, PING, 8), Ok(())),
            (3_600_000, many(1, PING, 8), closed),
        ];
        check_frames(10, &hours);
    }

    /// What h2 bounds, and what is traffic, is never too much.
    #[test]
    fn frames_that_bring_something() {
        let of = |kind, payload| vec![(0, many(10_000, kind, payload), Ok(()))];
        check_frames(10, &of(HEADERS, 30));
        check_frames(10, &of(DATA, 1));
        check_frames(10, &of(DATA, 0));
        check_frames(10, &of(CONTINUATION, 0));
        let request = [
            frame(HEADERS, 1, 30),
            many(3, PING, 8),
            frame(RST_STREAM, 1, 4),
        ]
        .concat();
        check_frames(10, &[(0, request.repeat(1000), Ok(()))]);
        let upload = [frame(DATA, 1, 1000), many(3, PING, 8)].concat();
        check_frames(10, &[(0, upload.repeat(1000), Ok(()))]);
    }

    /// A stream of small messages is answered with two WINDOW_UPDATE for each.
    #[test]
    fn what_is_sent_may_be_answered() {
        let mut frames = IdleFrames::new(10, true, 0);
        assert_eq!(frames.received(&preface(), || 0), Ok(()));
        for _ in 0..10_000 {
            frames.sent(&frame(DATA, 1, 1));
            let updates = many(2, 8, 4);
            assert_eq!(frames.received(&updates, || 0), Ok(()));
        }
        frames.sent(&many(10_000, DATA, 10));
        assert_eq!(
            frames.received(&many(100, 8, 4), || 0),
            Ok(()),
            "no more is stored"
        );
        assert_eq!(
            frames.received(&many(1, 8, 4), || 0),
            Err(Flood::IdleFrames)
        );
    }

    /// Of what is sent to an upstream, the preface comes first.
    #[test]
    fn answers_do_not_pay_for_questions() {
        for from_client in [true, false] {
            let mut frames = IdleFrames::new(10, from_client, 0);
            match from_client {
                true => assert_eq!(frames.received(&preface(), || 0), Ok(())),
                false => frames.sent(&preface()),
            }
            for count in 1..=101 {
                let verdict = frames.received(&frame(PING, 0, 8), || 0);
                assert_eq!(verdict.is_ok(), count <= 100);
                frames.sent(&frame(PING, 0, 8));
                frames.sent(&frame(DATA, 0, 0));
            }
        }
    }

    /// One call or many: only what has come counts.
    #[test]
    fn the_verdict_is_about_what_has_come() {
        let bytes = [preface(), many(101, PING, 8)].concat();
        let mut frames = IdleFrames::new(10, true, 0);
        let verdicts: Vec<_> = bytes
            .chunks(5)
            .map(|chunk| frames.received(chunk, || 0))
            .collect();
        let first = verdicts.iter().position(Result::is_err).expect("too many");
        // The frame counts once its head is there, of 17 bytes.
        let head_end = preface().len() + 100 * 17 + 9;
        assert_eq!(first, (head_end - 1) / 5);
    }
}
