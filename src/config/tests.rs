use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Faults, Loaded, Profile, Remark, Source, load};

mod callers;
mod clients;
mod defaults;
mod example;
mod faults;
mod secrets;
mod values;

const FILE: &str = "/etc/symbolon.toml";

/// What a test writes down: the TOML file, variables and other files.
#[derive(Clone, Default)]
struct Written {
    files: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    remarks: Vec<Remark>,
}

fn written() -> Written {
    Written::default()
}

fn toml(text: &str) -> Written {
    written().file(FILE, text)
}

fn env(name: &str, value: &str) -> Written {
    written().env(name, value)
}

impl Written {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }

    /// What is said of the TLS files, if there are any.
    fn remark(mut self, remark: Remark) -> Self {
        self.remarks.push(remark);
        self
    }

    fn load(&self, profile: Profile) -> Result<Loaded, Faults> {
        let read = |path: &Path| {
            let text = path.to_str().and_then(|path| self.files.get(path));
            text.cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
        };
        load(profile, self.files.contains_key(FILE).then_some(Path::new(FILE)), &self.env, read, |_| {
            self.remarks.clone()
        })
    }

    fn dev(&self) -> Loaded {
        self.load(Profile::Dev).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn serve(&self) -> Loaded {
        self.load(Profile::Serve).unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn serve_with_issuer(&self) -> Loaded {
        self.clone().env("SYMBOLON_ISSUER", "https://auth.example.com").serve()
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.load(Profile::Dev).expect_err("a fault was expected");
        faults.to_string().lines().map(str::to_owned).collect()
    }

    /// The one fault there is.
    fn fault(&self) -> String {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.concat()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Where a printed setting comes from, and what it is.
fn printed(loaded: &Loaded, path: &str) -> (String, Source) {
    let setting = loaded.printed.iter().find(|setting| setting.path == path).expect("every setting is printed");
    (setting.value.clone(), setting.source.clone())
}
