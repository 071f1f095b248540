use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Mutex;

use super::sink::LOOK_EVERY;
use super::*;

/// What was written, and whether it can be at the moment.
#[derive(Clone, Default)]
struct Paper {
    written: Arc<Mutex<Vec<u8>>>,
    /// Held: whoever writes has to wait.
    blocked: Arc<Mutex<()>>,
    /// How many bytes go yet.
    room: Arc<Mutex<Option<usize>>>,
}

impl Sink for Paper {
    fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _wait = self.blocked.lock().expect("not poisoned");
        let mut room = self.room.lock().expect("not poisoned");
        let fits = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room = room.map(|room| room - fits);
        self.written.lock().expect("not poisoned").extend(&bytes[..fits]);
        Ok(fits)
    }
}

impl Paper {
    fn text(&self) -> String {
        String::from_utf8(self.written.lock().expect("not poisoned").clone()).expect("text")
    }
}

fn outlet(paper: &Paper) -> Outlet {
    Outlet::before(Stream::Log, Box::new(paper.clone())).expect("a thread")
}

#[test]
fn nobody_waits_for_a_target_that_blocks_and_what_is_lost_is_counted() {
    const MORE: usize = 100;
    let paper = Paper::default();
    let outlet = outlet(&paper);
    let blocked = paper.blocked.lock().expect("not poisoned");
    let began = Stopwatch::start();
    for number in 0..QUEUE + MORE {
        outlet.pen(Stream::Log).write_all(format!("{number}\n").as_bytes()).expect("it never fails");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "it waited {:?}", began.elapsed());
    // One may be in the writer's hand.
    let lost = outlet.dropped.log.load(Ordering::Relaxed);
    assert!((MORE as u64 - 1..=MORE as u64).contains(&lost), "{lost}");
    drop(blocked);
    drop(outlet);
    assert_eq!(paper.text().lines().count(), QUEUE + MORE - usize::try_from(lost).expect("few"));
}

#[test]
fn the_end_waits_for_a_target_that_blocks_but_not_for_long() {
    let paper = Paper::default();
    let outlet = outlet(&paper);
    let _blocked = paper.blocked.lock().expect("not poisoned");
    outlet.pen(Stream::Log).write_all(b"one\n").expect("it never fails");
    let began = Stopwatch::start();
    drop(outlet);
    assert!(began.elapsed() < LAST_LINES * 3, "{:?}", began.elapsed());
}

#[test]
fn a_line_that_was_cut_by_a_full_disk_does_not_spoil_the_next() {
    let paper = Paper { room: Arc::new(Mutex::new(Some(6))), ..Paper::default() };
    let outlet = outlet(&paper);
    let mut pen = outlet.pen(Stream::Log);
    pen.write_all(b"one\n").expect("it never fails");
    pen.write_all(b"two\n").expect("it never fails");
    pen.write_all(b"three\n").expect("it never fails");
    while outlet.dropped.log.load(Ordering::Relaxed) < 2 {
        thread::yield_now();
    }
    *paper.room.lock().expect("not poisoned") = None;
    pen.write_all(b"four\n").expect("it never fails");
    drop(outlet);
    assert_eq!(paper.text(), "one\ntw\nfour\n");
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let dir = tempfile::tempdir().expect("a folder");
    let (path, moved) = (dir.path().join("audit"), dir.path().join("audit.1"));
    let outlet = Outlet::open(Stream::Log, Target::File(path.clone())).expect("opened");
    let mut pen = outlet.pen(Stream::Log);
    pen.write_all(b"one\n").expect("it never fails");
    thread::sleep(LOOK_EVERY + Duration::from_millis(200));
    fs::rename(&path, &moved).expect("moved");
    pen.write_all(b"two\n").expect("it never fails");
    drop(outlet);
    let read = |path| fs::read_to_string(path).expect("there");
    assert_eq!((read(&moved), read(&path)), ("one\n".to_owned(), "two\n".to_owned()));
    let mode = fs::metadata(&path).expect("there").mode() & 0o777;
    assert_eq!(mode, 0o600);
}

/// R-OBS-02
#[test]
fn a_gap_in_the_audit_is_told_where_it_shares_the_target_of_the_log() {
    let paper = Paper { room: Arc::new(Mutex::new(Some(0))), ..Paper::default() };
    let outlet = outlet(&paper);
    for stream in [Stream::Audit, Stream::Log, Stream::Audit] {
        outlet.pen(stream).write_all(b"lost\n").expect("it never fails");
    }
    let lost = || [&outlet.dropped.log, &outlet.dropped.audit].map(|it| it.load(Ordering::Relaxed));
    while lost().iter().sum::<u64>() < 3 {
        thread::yield_now();
    }
    assert_eq!(lost(), [1, 2]);
    *paper.room.lock().expect("not poisoned") = None;
    outlet.pen(Stream::Log).write_all(b"one\n").expect("it never fails");
    drop(outlet);
    let text = paper.text();
    let (first, gap) = text.split_once('\n').expect("two lines");
    assert!(first == "one" && gap.contains(r#""event":"lost","count":2"#) && gap.ends_with("}\n"), "{text}");
}

#[test]
fn what_was_lost_last_is_told_when_the_process_ends() {
    let paper = Paper { room: Arc::new(Mutex::new(Some(4))), ..Paper::default() };
    let outlet = outlet(&paper);
    let mut audit = outlet.pen(Stream::Audit);
    audit.write_all(b"one\n").expect("it never fails");
    audit.write_all(b"lost\n").expect("it never fails");
    while outlet.dropped.audit.load(Ordering::Relaxed) < 1 {
        thread::yield_now();
    }
    *paper.room.lock().expect("not poisoned") = None;
    drop(outlet);
    assert!(paper.text().starts_with("one\n{") && paper.text().contains(r#""count":1"#), "{}", paper.text());
}

#[test]
fn what_has_no_file_to_go_to_is_lost_and_told_of() {
    let dir = tempfile::tempdir().expect("a folder");
    let (folder, path) = (dir.path().join("audit"), dir.path().join("audit/file"));
    fs::create_dir(&folder).expect("made");
    let outlet = Outlet::open(Stream::Audit, Target::File(path.clone())).expect("opened");
    let mut pen = outlet.pen(Stream::Audit);
    fs::remove_dir_all(&folder).expect("gone");
    thread::sleep(LOOK_EVERY + Duration::from_millis(200));
    for _ in 0..3 {
        pen.write_all(b"lost\n").expect("it never fails");
    }
    let began = Stopwatch::start();
    while outlet.dropped.audit.load(Ordering::Relaxed) < 3 {
        assert!(began.elapsed() < LOOK_EVERY, "they went into a file that is gone");
        thread::yield_now();
    }
    fs::create_dir(&folder).expect("made");
    pen.write_all(b"one\n").expect("it never fails");
    drop(outlet);
    let text = fs::read_to_string(&path).expect("there");
    assert!(text.starts_with("one\n{") && text.contains(r#""event":"lost","count":3"#), "{text}");
}
