//! Between the configuration, which names TLS files, and [`crate::tls`], which reads them: checking them, serving with
//! them, and following them when they change.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::Failure;
use super::reload::Watched;
use crate::clock::{Clock, SystemClock};
use crate::config::{Remark, Tls, TlsVersion};
use crate::tls::{self, Current, File, Files, Mistake, Oldest};

/// The TLS of a listener, and the files it came from.
pub struct ServedTls {
    pub(super) current: Current,
    files: Files,
    watched: Watched,
}

/// What is wrong with the files, for the configuration's report.
pub(super) fn check(tls: &Tls) -> Vec<Remark> {
    let fault = |Mistake { file, message }| Remark::Fault { setting: setting(file), message };
    let warning = |Mistake { file, message }| Remark::Warning { setting: setting(file), message };
    match read(&files(tls)) {
        Ok(read) => read.warnings.into_iter().map(warning).collect(),
        Err(mistakes) => mistakes.into_iter().map(fault).collect(),
    }
}

impl ServedTls {
    pub(super) fn read(tls: &Tls) -> Result<Self, Failure> {
        let files = files(tls);
        let paths = [&files.certificate, &files.key].into_iter().chain(&files.client_ca);
        // Looked at before they are read, so that no change falls in between.
        let watched = Watched::now("tls", paths.cloned().collect());
        let read = read(&files).map_err(|mistakes| listed(&mistakes))?;
        Ok(Self { current: Arc::new(ArcSwap::new(read.config)), files, watched })
    }

    /// Has new connections served with what the files say, until `stop`.
    pub(super) async fn follow(self, stop: impl Future<Output = ()>) -> Result<(), Failure> {
        let Self { current, files, watched } = self;
        let renew = move || {
            let read = read(&files).map_err(|mistakes| listed(&mistakes))?;
            for Mistake { message, .. } in read.warnings {
                tracing::warn!("{message}");
            }
            current.store(read.config);
            Ok(())
        };
        watched.follow(stop, renew).await
    }
}

fn read(files: &Files) -> Result<tls::Tls, Vec<Mistake>> {
    tls::read(files, SystemClock.now())
}

fn files(tls: &Tls) -> Files {
    Files {
        certificate: tls.cert_file.clone(),
        key: tls.key_file.clone(),
        client_ca: tls.client_ca_file.clone(),
        oldest: match tls.min_version {
            TlsVersion::V1_2 => Oldest::Tls12,
            TlsVersion::V1_3 => Oldest::Tls13,
        },
    }
}

fn setting(file: File) -> &'static str {
    match file {
        File::Certificate => "grpc.tls_cert_file",
        File::Key => "grpc.tls_key_file",
        File::ClientCa => "grpc.tls_client_ca_file",
    }
}

fn listed(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| mistake.message.as_str()).collect::<Vec<_>>().join("; ")
}
