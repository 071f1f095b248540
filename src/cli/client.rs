//! How a command reaches a running service: where it is, what it is told about the caller, and whom it is believed to
//! be. What is sent and shown is the command's affair.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tonic::codegen::InterceptedService;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Request, Response, Status};
use tonic_types::StatusExt;
use zeroize::Zeroizing;

use super::Failure;
use super::listen::names_this_machine;
use crate::tls::{self, File, Mistake};

/// Where the service is, and who asks.
#[derive(Args)]
pub(super) struct Server {
    /// Where the service is: http://… or https://…
    #[arg(long = "server", value_name = "URL", default_value = "http://localhost:50051")]
    url: String,
    /// The caller's secret, on the first line of this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The CA of the server's certificate, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The certificate the caller shows
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// The private key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
}

/// A connection that says who asks, to be given to a generated client.
pub(super) type Connection = InterceptedService<Channel, Bearer>;

/// Puts the caller's secret, if there is one, on every call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

/// How long a server may take to answer the door.
const PATIENCE: Duration = Duration::from_secs(10);

impl Server {
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let bearer = Bearer(self.token_file.as_deref().map(bearer).transpose()?);
        let channel = self.endpoint()?.connect().await.map_err(|cause| self.unreachable(&cause))?;
        Ok(InterceptedService::new(channel, bearer))
    }

    fn endpoint(&self) -> Result<Endpoint, Failure> {
        let not_a_url = || format!("--server {}: expected a URL like https://symbolon.example:50051", self.url);
        let endpoint = Endpoint::from_shared(self.url.clone()).map_err(|_| not_a_url())?.connect_timeout(PATIENCE);
        match endpoint.uri().scheme_str() {
            Some("https") => {
                let tls = self.tls()?;
                endpoint.tls_config(tls).map_err(|cause| format!("--server {}: {}", self.url, root(&cause)).into())
            }
            Some("http") => {
                let files = [("--ca-file", &self.ca_file), ("--cert-file", &self.cert_file)];
                if self.token_file.is_some() && !names_this_machine(endpoint.uri().host().unwrap_or_default()) {
                    let told = "the secret would be readable on the way; use https://";
                    Err(format!("--token-file needs --server https://…: by {} {told}", self.url))?;
                }
                match files.iter().find(|(_, file)| file.is_some()) {
                    Some((flag, _)) => Err(format!("{flag} needs --server https://…: {} is in plaintext", self.url))?,
                    None => Ok(endpoint),
                }
            }
            Some(_) | None => Err(not_a_url().into()),
        }
    }

    fn tls(&self) -> Result<ClientTlsConfig, Failure> {
        let mut config = ClientTlsConfig::new().timeout(PATIENCE);
        config = match &self.ca_file {
            Some(path) => {
                tls::check_authorities(path).map_err(|message| format!("--ca-file: {message}"))?;
                config.ca_certificate(Certificate::from_pem(std::fs::read(path)?))
            }
            None => config.with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&self.cert_file, &self.key_file) {
            tls::check_identity(certificate, key).map_err(listed)?;
            let key = Zeroizing::new(std::fs::read(key)?);
            config = config.identity(Identity::from_pem(std::fs::read(certificate)?, key.as_slice()));
        }
        Ok(config)
    }

    fn unreachable(&self, cause: &tonic::transport::Error) -> Failure {
        let root = root(cause);
        let hint = match self.ca_file {
            _ if !is_about_a_certificate(cause) => "",
            Some(_) => " (--ca-file has to name the CA of the server's certificate)",
            None => " (--ca-file names a CA that the system does not know)",
        };
        format!("{} is not reached: {root}{hint}", self.url).into()
    }

    /// What the service answered.
    pub(super) fn answered<T>(&self, answer: Result<Response<T>, Status>) -> Result<T, Failure> {
        answer.map(Response::into_inner).map_err(|status| self.told(&status))
    }

    /// What the service said, in one sentence a field; or why it said nothing.
    fn told(&self, status: &Status) -> Failure {
        let details = status.get_error_details();
        let reason = match (details.error_info(), status.source()) {
            (Some(info), _) => format!(" ({})", info.reason),
            // In TLS 1.3 a server judges a certificate when the client is done already, and hangs up.
            (None, Some(cause)) if self.cert_file.is_some() => {
                format!(" ({}): perhaps the server does not believe the certificate in --cert-file", root(cause))
            }
            (None, Some(cause)) if self.url.starts_with("http:") => {
                format!(" ({}): perhaps the server wants TLS, --server https://…", root(cause))
            }
            (None, Some(cause)) => format!(" ({})", root(cause)),
            (None, None) => String::new(),
        };
        let fields = details.bad_request().into_iter().flat_map(|bad| &bad.field_violations);
        let fields: String = fields.map(|field| format!("\n  {} {}", field.field, field.description)).collect();
        format!("{}{reason}{fields}", status.message()).into()
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// The header with the secret in a file. Nothing of it is shown.
fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, Failure> {
    let failed = |why: &dyn std::fmt::Display| format!("--token-file {}: {why}", path.display());
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(|error| failed(&error))?);
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() {
        return Err(failed(&"the first line is empty: expected the caller's secret").into());
    }
    let header = Zeroizing::new(format!("Bearer {secret}"));
    let header = MetadataValue::try_from(header.as_str());
    let mut header = header.map_err(|_| failed(&"the secret has characters that no header may have"))?;
    header.set_sensitive(true);
    Ok(header)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn listed(mistakes: Vec<Mistake>) -> Failure {
    let flag = |file: File| match file {
        File::Certificate => "--cert-file",
        File::Key => "--key-file",
        File::ClientCa => "--ca-file",
    };
    let told = mistakes.iter().map(|mistake| format!("{}: {}", flag(mistake.file), mistake.message));
    told.collect::<Vec<_>>().join("\n").into()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn root(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn is_about_a_certificate(error: &(dyn Error + 'static)) -> bool {
    let io = causes(error).filter_map(|error| error.downcast_ref::<std::io::Error>()?.get_ref());
    io.filter_map(|error| error.downcast_ref()).any(|error| matches!(error, rustls::Error::InvalidCertificate(_)))
}
