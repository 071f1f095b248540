//! Passwords: argon2id with the parameters its crate recommends. A password never leaves this file but as a hash.

use std::error::Error;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error as Wrong, PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// So many at once: each takes 19 MiB and a core for a while, and whoever sends thousands waits.
static HASHING: Semaphore = Semaphore::const_new(4);

/// Hashes a password with a salt of its own.
pub(crate) async fn hash(password: String) -> Result<String, Box<dyn Error + Send + Sync>> {
    let _permit = HASHING.acquire().await?;
    let hash = spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()).map(|it| it.to_string()));
    Ok(hash.await??)
}

/// Whether this is the password of the hash.
pub(crate) async fn matches(password: String, hash: String) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let _permit = HASHING.acquire().await?;
    let verified =
        spawn_blocking(move || Argon2::default().verify_password(password.as_bytes(), &PasswordHash::new(&hash)?));
    match verified.await? {
        Ok(()) => Ok(true),
        Err(Wrong::PasswordInvalid) => Ok(false),
        Err(broken) => Err(broken.into()),
    }
}
