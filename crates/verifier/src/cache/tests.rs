use super::{COOL_DOWN, Cache, FIRST_WAIT};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

const MAX_AGE: Duration = Duration::from_secs(300);

/// A cache whose set is the number of its fetch, and an issuer that can be told what to do.
struct Followed {
    cache: Arc<Cache<u32>>,
    issuer: Arc<Issuer>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Issuer {
    fetches: AtomicU32,
    down: std::sync::atomic::AtomicBool,
    slow_by: std::sync::Mutex<Duration>,
    max_age: std::sync::Mutex<Option<Duration>>,
}

impl Issuer {
    fn fetches(&self) -> u32 {
        self.fetches.load(Ordering::SeqCst)
    }

    async fn answer(&self) -> Option<(u32, Duration)> {
        let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
        let slow_by = *self.slow_by.lock().unwrap();
        sleep(slow_by).await;
        let max_age = self.max_age.lock().unwrap().unwrap_or(MAX_AGE);
        (!self.down.load(Ordering::SeqCst)).then_some((number, max_age))
    }
}

impl Followed {
    fn start(issuer: Issuer) -> Self {
        let (cache, issuer) = (Arc::new(Cache::new(COOL_DOWN)), Arc::new(issuer));
        let (cached, asked) = (Arc::clone(&cache), Arc::clone(&issuer));
        let task = tokio::spawn(async move { cached.follow(|| asked.answer()).await });
        Self { cache, issuer, task }
    }

    fn current(&self) -> Option<u32> {
        self.cache.current().as_deref().copied()
    }

    async fn newer(&self) -> Option<u32> {
        self.cache.newer().await.as_deref().copied()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_is_fetched_again_when_its_age_is_up_and_not_before() {
    let followed = Followed::start(Issuer::default());
    followed.cache.first().await;
    sleep(Duration::from_secs(299)).await;
    assert_eq!(followed.issuer.fetches(), 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!((followed.issuer.fetches(), followed.current()), (2, Some(2)));
}

/// R-JWS-06
#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_are_one_fetch_a_cool_down() {
    let followed = Arc::new(Followed::start(Issuer::default()));
    followed.cache.first().await;
    for _ in 0..100 {
        assert_eq!(followed.newer().await, Some(1), "just fetched");
    }
    assert_eq!(followed.issuer.fetches(), 1);

    sleep(COOL_DOWN + Duration::from_secs(1)).await;
    *followed.issuer.slow_by.lock().unwrap() = Duration::from_millis(200);
    let mut all = JoinSet::new();
    for n in 0..10_000 {
        let followed = Arc::clone(&followed);
        all.spawn(async move {
            sleep(Duration::from_millis(n % 300)).await;
            followed.newer().await
        });
    }
    // Those that come during the fetch wait for it too.
    assert!(all.join_all().await.iter().all(|set| *set == Some(2)));
    assert_eq!(followed.issuer.fetches(), 2);
    sleep(COOL_DOWN * 2).await;
    assert_eq!(followed.issuer.fetches(), 2, "nobody wishes for another one");

    let began = Instant::now();
    while began.elapsed() < 10 * COOL_DOWN {
        followed.newer().await;
        sleep(Duration::from_millis(97)).await;
    }
    let fetches = followed.issuer.fetches();
    assert!((12..=13).contains(&fetches), "{fetches} fetches");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_stays_known_while_the_issuer_is_away() {
    let followed = Followed::start(Issuer::default());
    followed.cache.first().await;
    followed.issuer.down.store(true, Ordering::SeqCst);
    sleep(100 * MAX_AGE).await;
    assert_eq!(followed.current(), Some(1));
    assert_eq!(followed.newer().await, None, "whether there is another key, nobody can say");
    let tries = followed.issuer.fetches();
    assert!((800..=1000).contains(&tries), "{tries} tries, one a cool-down");
    followed.issuer.down.store(false, Ordering::SeqCst);
    sleep(COOL_DOWN + Duration::from_secs(1)).await;
    assert_eq!(followed.current(), Some(followed.issuer.fetches()), "it is asked again and believed again");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_away_at_first_is_found_soon_after_it_comes() {
    let followed = Followed::start(Issuer { down: true.into(), ..Issuer::default() });
    sleep(FIRST_WAIT * 3 + Duration::from_millis(1)).await;
    assert_eq!((followed.issuer.fetches(), followed.current()), (3, None));
    assert_eq!(followed.newer().await, None);
    sleep(10 * COOL_DOWN).await;
    let tries = followed.issuer.fetches();
    assert!((15..=20).contains(&tries), "{tries} tries: rarer and rarer, down to one a cool-down");
    followed.issuer.down.store(false, Ordering::SeqCst);
    sleep(COOL_DOWN).await;
    assert!(followed.current().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_slow_issuer_holds_nobody_for_longer_than_a_second_and_no_fetch_for_ever() {
    let followed = Followed::start(Issuer::default());
    followed.cache.first().await;
    sleep(COOL_DOWN + Duration::from_secs(1)).await;
    *followed.issuer.slow_by.lock().unwrap() = Duration::from_secs(3600);
    let began = Instant::now();
    assert_eq!(followed.newer().await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    *followed.issuer.slow_by.lock().unwrap() = Duration::ZERO;
    sleep(super::DEADLINE + COOL_DOWN).await;
    assert_eq!((followed.issuer.fetches(), followed.current()), (3, Some(3)));
}

#[tokio::test]
async fn a_set_that_is_held_is_never_looked_for() {
    let cache = Cache::holding(7);
    assert_eq!(cache.current().as_deref(), Some(&7));
    assert_eq!(cache.newer().await.as_deref(), Some(&7), "at once");
}

/// A schedule of keys that is faster than the cool-down is kept up with.
#[tokio::test(start_paused = true)]
async fn an_answer_that_lasts_for_less_than_the_cool_down_is_fetched_again_when_it_is_over() {
    let issuer = Issuer { max_age: Some(Duration::from_secs(1)).into(), ..Issuer::default() };
    let followed = Followed::start(issuer);
    sleep(Duration::from_millis(10_500)).await;
    assert_eq!((followed.issuer.fetches(), followed.current()), (11, Some(11)));
    // What is unknown then sets off nothing more.
    assert_eq!(followed.newer().await, Some(11));
    assert_eq!(followed.issuer.fetches(), 11);
    // And one that may not be kept at all is no storm.
    *followed.issuer.max_age.lock().unwrap() = Some(Duration::ZERO);
    sleep(Duration::from_millis(500)).await;
    let before = followed.issuer.fetches();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(followed.issuer.fetches() - before, 40);
}

#[tokio::test(start_paused = true)]
async fn what_is_known_to_be_wrong_is_fetched_anew_at_once() {
    let followed = Followed::start(Issuer::default());
    followed.cache.first().await;
    for wait in [1, 100] {
        sleep(Duration::from_secs(wait)).await;
        let before = followed.issuer.fetches();
        followed.cache.outdate();
        sleep(Duration::from_millis(1)).await;
        assert_eq!(followed.issuer.fetches(), before + 1, "after {wait} s");
    }
}
