//! TLS of a listener: PEM files made into one `ServerConfig`, with every mistake in them found at once. It knows neither
//! settings nor sockets: whoever listens takes the [`Current`] configuration for each new connection.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use webpki::{EndEntityCert, KeyUsage};
use zeroize::Zeroizing;

use crate::time::Timestamp;

#[cfg(test)]
mod tests;

/// What a new connection is served with. It is replaced as a whole; connections that are there keep theirs.
pub type Current = Arc<ArcSwap<ServerConfig>>;

/// What TLS is made of.
#[derive(Clone, Debug)]
pub struct Files {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs clients' certificates. `None`: no certificate is asked for.
    pub client_ca: Option<PathBuf>,
    /// The oldest version that is spoken.
    pub oldest: Oldest,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oldest {
    Tls12,
    Tls13,
}

/// One of the [`Files`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Certificate,
    Key,
    ClientCa,
}

/// What is wrong with a file, and what would be right. It names the file and shows nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: File,
    pub message: String,
}

/// What the files come to.
#[derive(Debug)]
pub struct Tls {
    pub config: Arc<ServerConfig>,
    /// What works and is probably not meant.
    pub warnings: Vec<Mistake>,
}

/// More is no PEM file of ours, and may have no end.
const MOST: u64 = 1024 * 1024;

/// Reads the files.
///
/// # Errors
/// Every mistake there is, never none.
pub fn read(files: &Files, now: Timestamp) -> Result<Tls, Vec<Mistake>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut mistakes = Vec::new();
    let pair = pair(&files.certificate, &files.key, &provider, &mut mistakes);
    let clients = match &files.client_ca {
        Some(path) => kept(File::ClientCa, client_verifier(path, &provider), &mut mistakes),
        None => Some(WebPkiClientVerifier::no_client_auth()),
    };
    match (pair, clients) {
        (Some(pair), Some(clients)) if mistakes.is_empty() => {
            let warnings = dates(&files.certificate, &pair.cert, now);
            Ok(Tls { config: Arc::new(config(pair, clients, files.oldest, provider)), warnings })
        }
        _ => Err(mistakes),
    }
}

/// Checks the files of somebody who shows a certificate.
///
/// # Errors
/// Every mistake there is, never none.
pub fn check_identity(certificate: &Path, key: &Path) -> Result<(), Vec<Mistake>> {
    let mut mistakes = Vec::new();
    pair(certificate, key, &rustls::crypto::ring::default_provider(), &mut mistakes);
    if mistakes.is_empty() { Ok(()) } else { Err(mistakes) }
}

/// Checks the file of somebody who believes certificates of a CA.
///
/// # Errors
/// If it holds none.
pub fn check_authorities(path: &Path) -> Result<(), String> {
    authorities(path).map(drop)
}

fn config(
    pair: CertifiedKey,
    clients: Arc<dyn ClientCertVerifier>,
    oldest: Oldest,
    provider: Arc<CryptoProvider>,
) -> ServerConfig {
    let versions: &[_] = match oldest {
        Oldest::Tls12 => &[&TLS13, &TLS12],
        Oldest::Tls13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions);
    let builder = builder.expect("cannot fail: ring has cipher suites and groups for both versions");
    let mut config =
        builder.with_client_cert_verifier(clients).with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    // Connections last: what resuming saves is little, and without it every connection's certificate is looked at.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

fn kept<T>(file: File, read: Result<T, String>, mistakes: &mut Vec<Mistake>) -> Option<T> {
    read.map_err(|message| mistakes.push(Mistake { file, message })).ok()
}

fn content(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut content = Zeroizing::new(Vec::new());
    let read = fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut content));
    read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if content.len() as u64 > MOST {
        return Err(format!("{} has more than 1 MiB: expected a PEM file", path.display()));
    }
    Ok(content)
}

/// All certificates in a file, at least one.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = content(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let found = found.map_err(|_| not_pem(path))?;
    if let Some(first) = found.first() {
        let readable = EndEntityCert::try_from(first).map(|_| ());
        readable.map_err(|_| {
            format!("the first certificate in {} cannot be read: expected X.509 version 3", path.display())
        })?;
        return Ok(found);
    }
    let instead = if PrivateKeyDer::from_pem_slice(&content).is_ok() { ", but a private key" } else { "" };
    Err(format!("there is no certificate in {}{instead}: expected PEM with BEGIN CERTIFICATE", path.display()))
}

fn signing_key(path: &Path, provider: &CryptoProvider) -> Result<Arc<dyn SigningKey>, String> {
    let content = content(path)?;
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|error| {
        if matches!(error, pem::Error::NoItemsFound) { no_key(path, &content) } else { not_pem(path) }
    })?;
    let usable = provider.key_provider.load_private_key(key);
    usable.map_err(|_| {
        let path = path.display();
        format!("the key in {path} cannot be used: expected ECDSA (P-256, P-384), Ed25519 or RSA (2048 bits or more)")
    })
}

fn no_key(path: &Path, content: &[u8]) -> String {
    let shown = path.display();
    if content.windows(17).any(|it| it == b"ENCRYPTED PRIVATE") {
        return format!("the key in {shown} is encrypted: decrypt it with `openssl pkey -in {shown} -out …`");
    }
    let instead = if CertificateDer::from_pem_slice(content).is_ok() { ", but a certificate" } else { "" };
    format!("there is no private key in {shown}{instead}: expected PEM with BEGIN PRIVATE KEY")
}

/// The library's own words would quote the line, which may be one of a key.
fn not_pem(path: &Path) -> String {
    format!("{} is not valid PEM", path.display())
}

/// Whether somebody else can use the key. A file that cannot be read was told of before.
fn loose(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mode = metadata.mode() & 0o7777;
    let who = too_open(mode, metadata.uid())?;
    let path = path.display();
    Some(format!(
        "{path} can be read or written by {who} (mode {mode:04o}): chmod 600 {path} (root's own file may be 640)"
    ))
}

/// PostgreSQL's rule: a key is for its owner only; if that is root, its group may read it, too. Kubernetes mounts secrets
/// for a pod that is not root exactly so, root's and readable by the pod's group, and so does Debian's `ssl-cert`.
fn too_open(mode: u32, owner: u32) -> Option<&'static str> {
    const ROOT: u32 = 0;
    let group = if owner == ROOT { 0o030 } else { 0o070 };
    match (mode & 0o007, mode & group) {
        (0, 0) => None,
        (0, _) => Some("its group"),
        (_, _) => Some("everybody"),
    }
}

/// Verifies a certificate if a client shows one.
fn client_verifier(path: &Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let roots = authorities(path)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    builder.allow_unauthenticated().build().map_err(|error| format!("{}: {error}", path.display()))
}

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(path)?.into_iter().enumerate() {
        let added = roots.add(certificate);
        added.map_err(|_| format!("certificate {} in {} cannot be read", at + 1, path.display()))?;
    }
    Ok(roots)
}

fn pair(
    certificate: &Path,
    key: &Path,
    provider: &CryptoProvider,
    mistakes: &mut Vec<Mistake>,
) -> Option<CertifiedKey> {
    let chain = kept(File::Certificate, certificates(certificate), mistakes);
    let signing = kept(File::Key, signing_key(key, provider), mistakes);
    mistakes.extend(loose(key).map(|message| Mistake { file: File::Key, message }));
    let pair = CertifiedKey::new(chain?, signing?);
    kept(File::Key, belong_together(certificate, key, &pair), mistakes)?;
    Some(pair)
}

fn belong_together(certificate: &Path, key: &Path, pair: &CertifiedKey) -> Result<(), String> {
    let (certificate, key) = (certificate.display(), key.display());
    match pair.keys_match() {
        // Of a key that does not tell its public half nothing can be said.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(()),
        Err(_) => Err(format!(
            "the key in {key} does not belong to the first certificate in {certificate}, which must be the one that is shown"
        )),
    }
}

/// Certificates whose time is not now. That is no mistake: the clock may be wrong, and whoever connects decides.
fn dates(path: &Path, chain: &[CertificateDer<'_>], now: Timestamp) -> Vec<Mistake> {
    let now = UnixTime::since_unix_epoch(Duration::from_millis(now.millis().unsigned_abs()));
    let told = |(at, certificate): (usize, &CertificateDer<'_>)| {
        let message = format!("certificate {} in {} {}", at + 1, path.display(), date(certificate, now)?);
        Some(Mistake { file: File::Certificate, message })
    };
    chain.iter().enumerate().filter_map(told).collect()
}

/// webpki looks at the dates before it looks for an issuer, and is given none to find.
fn date(certificate: &CertificateDer<'_>, now: UnixTime) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let verified = certificate.verify_for_usage(&[], &[], &[], now, KeyUsage::server_auth(), None, None);
    let shown = |time: UnixTime| Timestamp::from_seconds(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match verified {
        Err(webpki::Error::CertExpired { not_after, .. }) => Some(format!("expired at {}", shown(not_after))),
        Err(webpki::Error::CertNotValidYet { not_before, .. }) => {
            Some(format!("is not valid before {}", shown(not_before)))
        }
        Ok(_) | Err(_) => None,
    }
}
