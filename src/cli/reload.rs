//! Following files that change while the program runs. They are read every two seconds and compared by content: what
//! Kubernetes mounts is changed by swapping a link, which a watch on the file would not see. It does not know what is in
//! them; whoever does is asked to use them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Failure;

/// Files, and what they held when they were last used.
pub(super) struct Watched {
    what: &'static str,
    files: Vec<PathBuf>,
    seen: Vec<Content>,
}

/// What a file holds. A digest, since it may be a key.
type Content = Result<[u8; 32], ErrorKind>;

/// A [`Watched`] with whoever uses the files.
struct Follower<A> {
    watched: Watched,
    apply: A,
    state: State,
}

/// How the last use of the files went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// They could not be used, for this reason. The old ones hold.
    Faulty(String),
}

/// How a look at the files went.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Applied,
    Refused(String),
}

/// How long a file has to stay as it is to be taken.
const SETTLED: Duration = Duration::from_millis(200);
const EVERY: Duration = Duration::from_secs(2);

impl Watched {
    /// Files as they are now. To be called before they are read for use, so that no change falls in between. `what` is
    /// what log and figures call them.
    pub(super) fn now(what: &'static str, files: Vec<PathBuf>) -> Self {
        let seen = contents(&files);
        Self { what, files, seen }
    }

    /// Has them used at the first look, whatever they hold.
    pub(super) fn outdate(&mut self) {
        self.seen.clear();
    }

    /// Calls `apply`, on a thread that may wait for a disk, when a file has changed, until `stop`. If it cannot use what
    /// is there, the old state holds, and is told and counted as such once; it is asked again until it can: the reason
    /// may be one that no content shows, like a mode.
    pub(super) async fn follow(
        self,
        stop: impl Future<Output = ()>,
        apply: impl FnMut() -> Result<(), String> + Send + 'static,
    ) -> Result<(), Failure> {
        let mut stop = pin!(stop);
        let mut follower = Follower { watched: self, apply, state: State::Good };
        while tokio::time::timeout(EVERY, &mut stop).await.is_err() {
            follower = tokio::task::spawn_blocking(move || {
                let seen = follower.look();
                tell(follower.watched.what, &seen);
                follower
            })
            .await?;
        }
        Ok(())
    }
}

impl<A: FnMut() -> Result<(), String>> Follower<A> {
    fn look(&mut self) -> Seen {
        let now = contents(&self.watched.files);
        let changed = now != self.watched.seen;
        if changed {
            // A file that is being written is short, or empty, for a moment: what does not stay is looked at later.
            std::thread::sleep(SETTLED);
            if contents(&self.watched.files) != now {
                return Seen::Nothing;
            }
        }
        if !changed && self.state == State::Good {
            return Seen::Nothing;
        }
        self.watched.seen = now;
        let before = std::mem::replace(&mut self.state, State::Good);
        match (self.apply)() {
            Ok(()) => Seen::Applied,
            Err(reason) => {
                self.state = State::Faulty(reason.clone());
                if changed || before != self.state { Seen::Refused(reason) } else { Seen::Nothing }
            }
        }
    }
}

fn contents(files: &[PathBuf]) -> Vec<Content> {
    let content = |path: &Path| fs::read(path).map(|content| Sha256::digest(content).into());
    files.iter().map(|path| content(path).map_err(|error| error.kind())).collect()
}

fn tell(what: &'static str, seen: &Seen) {
    let outcome = match seen {
        Seen::Nothing => return,
        Seen::Applied => {
            tracing::info!(what, "read again: what is new holds from now on");
            "applied"
        }
        Seen::Refused(reason) => {
            tracing::warn!(what, reason, "what is new cannot be used: the old stays");
            "refused"
        }
    };
    metrics::counter!("symbolon_reloads_total", "what" => what, "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn follower<A>(path: &Path, apply: A) -> Follower<A> {
        Follower { watched: Watched::now("test", vec![path.to_owned()]), apply, state: State::Good }
    }

    #[test]
    fn a_change_is_used_once_and_a_faulty_one_is_told_once_and_tried_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        let write = |content: &str| fs::write(&path, content).expect("written");
        let refused = |reason: &str| Seen::Refused(reason.to_owned());
        write("one");
        let used = RefCell::new(Vec::new());
        let mut follower = follower(&path, || {
            let content = fs::read_to_string(&path).map_err(|error| error.kind().to_string())?;
            if content.starts_with("bad") {
                return Err(content);
            }
            used.borrow_mut().push(content);
            Ok(())
        });
        assert_eq!(follower.look(), Seen::Nothing);
        write("two");
        assert_eq!((follower.look(), follower.look()), (Seen::Applied, Seen::Nothing));
        write("bad");
        assert_eq!((follower.look(), follower.look()), (refused("bad"), Seen::Nothing));
        write("bad again");
        assert_eq!((follower.look(), follower.look()), (refused("bad again"), Seen::Nothing));
        fs::remove_file(&path).expect("removed");
        assert_eq!((follower.look(), follower.look()), (refused("entity not found"), Seen::Nothing));
        write("bad again");
        assert_eq!(follower.look(), refused("bad again"));
        // What was in use before is used again: nobody remembers what was refused.
        write("two");
        assert_eq!((follower.look(), follower.look()), (Seen::Applied, Seen::Nothing));
        assert_eq!(*used.borrow(), ["two", "two"]);
    }

    #[test]
    fn what_was_out_of_date_from_the_beginning_is_used_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "one").expect("written");
        let mut follower = follower(&path, || Ok(()));
        assert_eq!(follower.look(), Seen::Nothing);
        follower.watched.outdate();
        assert_eq!((follower.look(), follower.look()), (Seen::Applied, Seen::Nothing));
    }

    #[test]
    fn what_is_refused_for_another_reason_than_its_content_is_used_when_the_reason_is_gone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "one").expect("written");
        let reason = RefCell::new(Some("mode"));
        let mut follower = follower(&path, || reason.borrow().map_or(Ok(()), |reason| Err(reason.to_owned())));
        fs::write(&path, "two").expect("written");
        assert_eq!((follower.look(), follower.look()), (Seen::Refused("mode".to_owned()), Seen::Nothing));
        *reason.borrow_mut() = Some("owner");
        assert_eq!((follower.look(), follower.look()), (Seen::Refused("owner".to_owned()), Seen::Nothing));
        *reason.borrow_mut() = None;
        assert_eq!((follower.look(), follower.look()), (Seen::Applied, Seen::Nothing));
    }
}
