//! Writes that are gathered: the answers of one batch leave a connection in one write to its socket, and not in one each.
//!
//! Whoever answers first wakes the task of the connection, and tokio runs that next, before the others have answered; so what
//! is flushed waits here until the task's turn has come again behind everybody who was woken with it. That costs a lonely
//! answer two turns, and a crowd a system call for many answers instead of three for two (docs/performance.md).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that keeps what is written until it was read from twice. HTTP/2 reads at every turn of its task, so a read is how
/// a turn is known.
pub(super) struct Gathered<S> {
    stream: S,
    kept: Vec<u8>,
    /// How many bytes of it have been sent.
    sent: usize,
    /// How often it was read from since something was kept.
    reads: u32,
}

/// What is kept at the most, and what room a connection has for it once it was needed: some answers to refreshes. The first are
/// read while the last are still signed.
const MOST: usize = 4 * 1024;

/// Which read sends it: before the second all others have answered, and before the third their answers are here.
const READS: u32 = 2;

impl<S: AsyncWrite + Unpin> Gathered<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, kept: Vec::new(), sent: 0, reads: 0 }
    }

    /// Sends everything that is kept.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.kept.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.kept[self.sent..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += sent;
        }
        (self.sent, self.reads) = (0, 0);
        self.kept.clear();
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gathered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.kept.is_empty() {
            self.reads += 1;
            if self.reads < READS {
                cx.waker().wake_by_ref();
            } else if let Poll::Ready(Err(error)) = self.poll_send(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gathered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.kept.len() + bytes.len() > MOST {
            ready!(self.poll_send(cx))?;
        }
        if bytes.len() > MOST {
            // To copy it would win nothing: it is a write of its own anyway.
            return Pin::new(&mut self.stream).poll_write(cx, bytes);
        }
        if self.kept.capacity() == 0 {
            self.kept.reserve_exact(MOST);
        }
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut taken = 0;
        for part in parts {
            let written = match self.as_mut().poll_write(cx, part) {
                Poll::Ready(Ok(written)) => written,
                // What was taken is taken; the rest is said with the next write.
                Poll::Pending | Poll::Ready(Err(_)) if taken > 0 => break,
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            };
            taken += written;
            if written < part.len() {
                break;
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once, and done in truth at a later turn, which is asked for. But what the socket has no room for is waited for,
    /// as ever: by the peer's reading, and not by turns.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.kept.is_empty() || self.sent > 0 || self.reads >= READS {
            return self.poll_send(cx);
        }
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Wake, Waker};

    use proptest::prelude::*;

    use super::*;

    /// A socket that remembers each write, and takes so many bytes at a time; none: it is full.
    struct Socket {
        writes: Vec<Vec<u8>>,
        room: usize,
    }

    impl AsyncRead for Socket {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Socket {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let taken = bytes.len().min(self.room);
            if taken == 0 {
                return Poll::Pending;
            }
            self.writes.push(bytes[..taken].to_vec());
            Poll::Ready(Ok(taken))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn gathered(room: usize) -> Gathered<Socket> {
        Gathered::new(Socket { writes: Vec::new(), room })
    }

    fn nobody() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    impl Gathered<Socket> {
        fn turn(&mut self) {
            assert!(Pin::new(self).poll_read(&mut nobody(), &mut ReadBuf::new(&mut [])).is_pending());
        }

        fn write(&mut self, bytes: &[u8]) -> Poll<io::Result<usize>> {
            Pin::new(self).poll_write(&mut nobody(), bytes)
        }

        fn flush(&mut self) -> bool {
            Pin::new(self).poll_flush(&mut nobody()).is_ready()
        }

        fn shut_down(&mut self) -> bool {
            Pin::new(self).poll_shutdown(&mut nobody()).is_ready()
        }
    }

    #[test]
    fn what_is_written_within_two_turns_leaves_in_one_write() {
        let mut stream = gathered(usize::MAX);
        for answer in [b"one", b"two", b"six"] {
            assert!(stream.write(answer).is_ready() && stream.flush());
        }
        stream.turn();
        assert!(stream.write(b"ten").is_ready() && stream.flush());
        assert_eq!(stream.stream.writes.len(), 0);
        stream.turn();
        assert_eq!(stream.stream.writes, [b"onetwosixten"]);
        stream.turn();
        assert_eq!(stream.stream.writes.len(), 1);
    }

    #[test]
    fn what_is_kept_at_the_end_is_sent() {
        let mut stream = gathered(usize::MAX);
        assert!(stream.write(b"goodbye").is_ready() && stream.flush() && stream.shut_down());
        assert_eq!(stream.stream.writes, [b"goodbye"]);
    }

    #[test]
    fn a_peer_that_does_not_read_is_waited_for_and_not_tried_again_and_again() {
        struct Woken(AtomicU32);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let woken = Arc::new(Woken(AtomicU32::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut stream = gathered(0);
        assert!(stream.write(b"answer").is_ready());
        assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_ready());
        for _ in 0..10 {
            let turn = Pin::new(&mut stream).poll_read(&mut cx, &mut ReadBuf::new(&mut []));
            assert!(turn.is_pending());
            let _ = Pin::new(&mut stream).poll_flush(&mut cx);
        }
        assert!(Pin::new(&mut stream).poll_flush(&mut cx).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), 3, "it asks for a turn although nobody reads");

        assert!(stream.write(&vec![7; MOST]).is_pending() && !stream.shut_down());
        stream.stream.room = 1000;
        assert!(stream.write(b"more").is_ready() && stream.shut_down());
        assert_eq!(stream.stream.writes.concat(), b"answermore");
    }

    proptest! {
        /// Nothing is lost, and nothing changes places.
        #[test]
        fn everything_arrives_in_its_order(
            deeds in prop::collection::vec((0..6, prop_oneof![1..200_usize, 1..3 * MOST]), 0..24),
            room in 1..2 * MOST,
        ) {
            let mut stream = gathered(room);
            let mut written = Vec::new();
            for (number, (deed, length)) in (0_u8..).zip(deeds) {
                let bytes: Vec<_> = (number..=u8::MAX).cycle().take(length).collect();
                let is_full = stream.stream.room == 0;
                let taken = match deed {
                    0 => {
                        stream.turn();
                        continue;
                    }
                    1 => {
                        prop_assert!(stream.flush() || is_full);
                        continue;
                    }
                    2 => {
                        stream.stream.room = if is_full { room } else { 0 };
                        continue;
                    }
                    3 => {
                        let (one, two) = bytes.split_at(bytes.len() / 2);
                        let parts = [io::IoSlice::new(one), io::IoSlice::new(two)];
                        Pin::new(&mut stream).poll_write_vectored(&mut nobody(), &parts)
                    }
                    _ => stream.write(&bytes),
                };
                match taken {
                    Poll::Ready(taken) => written.extend_from_slice(&bytes[..taken.unwrap()]),
                    Poll::Pending => prop_assert!(is_full),
                }
            }
            stream.stream.room = room;
            prop_assert!(stream.shut_down());
            prop_assert_eq!(stream.stream.writes.concat(), written);
        }
    }
}
