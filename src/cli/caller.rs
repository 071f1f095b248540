//! `symbolon caller`: a secret for a new caller, and what to paste into the callers file. The secret is made here, shown
//! once and kept nowhere.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use sha2::{Digest, Sha256};
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::{Failure, print};
use crate::config::PERMISSIONS;
use crate::entropy::{Entropy, SystemEntropy};
use crate::service::caller::SECRET_PREFIX;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Makes a secret and prints the caller's entry for the callers file: `symbolon caller new backend >> callers.toml`
    New(New),
}

#[derive(Args)]
pub(super) struct New {
    /// Its name, in the file and in the audit
    name: String,
    /// What it may call
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "issue,refresh,revoke,list")]
    #[arg(value_parser = PossibleValuesParser::new(PERMISSIONS))]
    permissions: Vec<String>,
    /// The clients it may do that for
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "web")]
    clients: Vec<String>,
    /// The names in its certificate, by which it proves itself instead of a secret
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "token_file")]
    san: Vec<String>,
    /// Writes the secret into a new file that only its owner can read, instead of showing it on stderr
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn caller(command: Command) -> Result<(), Failure> {
    let Command::New(new) = command;
    if new.name.is_empty() || !new.name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{:?} is no name: expected printable ASCII characters without spaces", new.name).into());
    }
    let proof = if new.san.is_empty() {
        ("token_sha256", vec![make_secret(new.token_file.as_deref())?])
    } else {
        ("san", new.san)
    };
    let keys = [("permissions", new.permissions), ("clients", new.clients), proof];
    print(&entry(&new.name, keys)?)
}

/// Makes a secret, hands it over, and answers its hash, which is all that is kept.
fn make_secret(file: Option<&Path>) -> Result<String, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemEntropy.fill(bytes.as_mut());
    let secret = Zeroizing::new(format!("{SECRET_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_ref())));
    match file {
        Some(path) => {
            let made = File::options().write(true).create_new(true).mode(0o600).open(path);
            let written = made.and_then(|mut file| writeln!(file, "{}", *secret).and_then(|()| file.sync_all()));
            written.map_err(|error| format!("--token-file {}: {error}", path.display()))?;
        }
        None => {
            let told = "the secret, shown this once; the caller sends it as `authorization: Bearer …`:";
            writeln!(std::io::stderr(), "{told}\n{}", *secret)?;
        }
    }
    Ok(Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn entry(name: &str, keys: [(&str, Vec<String>); 3]) -> Result<String, Failure> {
    let list = |names: Vec<String>| Value::Array(names.into_iter().map(Value::String).collect());
    let keys: Table = keys.into_iter().map(|(key, names)| (key.to_owned(), list(names))).collect();
    let named = Table::from_iter([(name.to_owned(), Value::Table(keys))]);
    Ok(toml::to_string(&Table::from_iter([("callers".to_owned(), Value::Table(named))]))?)
}
