//! Who the users are, and whether they prove it. A real backend has a table, and limits how often somebody may guess.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// So many at once: each takes 19 MiB and a core for a while, and whoever sends thousands waits.
static HASHING: Semaphore = Semaphore::const_new(4);

struct User {
    /// What the tokens call the user: it stays when the name changes, and no later user gets it.
    id: String,
    password_hash: String,
}

pub(crate) struct Users {
    by_name: HashMap<String, Arc<User>>,
    /// Whose password nobody knows.
    nobody: Arc<User>,
}

impl Users {
    /// One, for a start.
    pub(crate) fn demo() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut unknown = [0; 32];
        getrandom::fill(&mut unknown)?;
        let user = |id: &str, password: &[u8]| -> Result<_, Box<dyn Error + Send + Sync>> {
            let password_hash = Argon2::default().hash_password(password)?.to_string();
            Ok(Arc::new(User { id: id.to_owned(), password_hash }))
        };
        let by_name = HashMap::from([("carol".to_owned(), user("user-1", b"carol")?)]);
        Ok(Self { by_name, nobody: user("", &unknown)? })
    }

    /// Whose credentials these are: the user's id. Takes as long for an unknown user as for a wrong password.
    pub(crate) async fn authenticate(&self, name: &str, password: String) -> Option<String> {
        let user = Arc::clone(self.by_name.get(name).unwrap_or(&self.nobody));
        let _permit = HASHING.acquire().await.ok()?;
        let verify = move || {
            let hash = PasswordHash::new(&user.password_hash).ok()?;
            Argon2::default().verify_password(password.as_bytes(), &hash).ok()?;
            Some(user.id.clone())
        };
        spawn_blocking(verify).await.ok().flatten()
    }
}
