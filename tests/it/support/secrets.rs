use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// A secret and how a failing test calls it.
pub(crate) struct Secret {
    name: String,
    /// How it could be written: as it is, as Rust shows bytes, in hex, or in base64 of any alignment.
    spellings: Vec<(&'static str, String)>,
}

impl Secret {
    pub(crate) fn new(name: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        let (name, bytes) = (name.into(), bytes.as_ref());
        assert!(bytes.len() >= 16, "{name} is too short to be searched for");
        Self { name, spellings: spellings(bytes) }
    }

    /// A refresh token: as text, and the bytes that make it secret, which are its tag.
    pub(crate) fn refresh_token(name: &str, token: &str) -> Vec<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix("sr1_").unwrap()).unwrap();
        let tag = &bytes[bytes.len() - 16..];
        vec![Self::new(name, token), Self::new(format!("the tag of {name}"), tag)]
    }

    /// An access token: as text, and its signature.
    pub(crate) fn access_token(name: &str, token: &str) -> Vec<Self> {
        let (_, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        vec![Self::new(name, token), Self::new(format!("the signature of {name}"), bytes)]
    }

    /// How it stands in `text`, if it does.
    pub(crate) fn found_in(&self, text: &[u8]) -> Option<&'static str> {
        self.found_in_characters(&characters(text))
    }

    fn found_in_characters(&self, text: &str) -> Option<&'static str> {
        self.spellings.iter().find(|(_, spelling)| text.contains(spelling)).map(|(how, _)| *how)
    }
}

fn spellings(bytes: &[u8]) -> Vec<(&'static str, String)> {
    let hex = hex(bytes);
    let mut spellings = vec![
        ("as it is", characters(bytes)),
        ("as a list of numbers", format!("{bytes:?}").trim_matches(['[', ']']).to_owned()),
        ("in hex", hex.to_uppercase()),
        ("in hex", hex),
    ];
    for before in 0..3 {
        // In the middle of other bytes: the characters that are this secret's alone.
        let padded = [&[0; 2][..before], bytes].concat();
        let own = (before * 8).div_ceil(6)..padded.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            spellings.push(("in base64", engine.encode(&padded)[own.clone()].to_owned()));
        }
    }
    spellings
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// One character a byte, since the standard library searches text far faster than bytes.
fn characters(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Fails if one of the secrets stands in `text`.
pub(crate) fn assert_silent(place: &str, text: &[u8], secrets: &[Secret]) {
    let text = characters(text);
    for secret in secrets {
        if let Some(how) = secret.found_in_characters(&text) {
            panic!("{} stands {how} in {place}", secret.name);
        }
    }
}

/// Every way somebody could write these bytes where a token belongs.
pub(crate) fn as_text(bytes: &[u8]) -> Vec<String> {
    let mut texts = vec![hex(bytes)];
    texts.extend([STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD].map(|engine| engine.encode(bytes)));
    texts.extend(std::str::from_utf8(bytes).ok().map(str::to_owned));
    texts
}

/// What the files of a folder hold, all of them in a row.
pub(crate) fn files(dir: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}
