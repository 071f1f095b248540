//! Collecting everything that is wrong with a request, so that it is told at once, with each field's path and its limit.

use std::net::IpAddr;
use std::time::Duration;

use crate::rpc::status::Failure;
use crate::time::Timestamp;

/// One field that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as in the proto, e.g. `authentication.amr[2]`.
    pub field: String,
    /// What it must be.
    pub description: String,
}

/// What is wrong with a request, field by field. The reading functions answer something in any case, so that reading
/// goes on; [`Fields::done`] refuses the whole if anything was wrong.
#[derive(Default)]
pub(super) struct Fields(Vec<Violation>);

/// The most characters of any name or identifier.
pub(super) const NAME: usize = 255;

/// Ten years: whoever asks for more means something else.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Fields {
    pub(super) fn refuse(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation { field: field.into(), description: description.into() });
    }

    /// The value, if nothing was wrong.
    pub(super) fn done<T>(self, value: T) -> Result<T, Failure> {
        if self.0.is_empty() { Ok(value) } else { Err(Failure::FieldsInvalid(self.0)) }
    }

    /// The value that was required, if nothing was wrong: without it something was.
    pub(super) fn done_with<T>(self, required: Option<T>) -> Result<T, Failure> {
        required.filter(|_| self.0.is_empty()).ok_or(Failure::FieldsInvalid(self.0))
    }

    /// Who the tokens are about: spaces are allowed, an account may be named so.
    pub(super) fn subject(&mut self, field: &str, text: String) -> String {
        if !is_text(&text, |byte| matches!(byte, b' '..=b'~')) {
            self.refuse(field, format!("must have 1 to {NAME} printable ASCII characters"));
        }
        text
    }

    /// A name without spaces: a client, an audience, an acr.
    pub(super) fn name(&mut self, field: impl Into<String>, text: String) -> String {
        if !is_text(&text, |byte| byte.is_ascii_graphic()) {
            self.refuse(field, format!("must have 1 to {NAME} printable ASCII characters without spaces"));
        }
        text
    }

    /// An optional name: empty is unset.
    pub(super) fn optional_name(&mut self, field: &str, text: String) -> Option<String> {
        (!text.is_empty()).then(|| self.name(field, text))
    }

    /// A list of different names.
    pub(super) fn names(&mut self, field: &str, most: usize, names: Vec<String>) -> Vec<String> {
        self.list(field, most, names, Self::name)
    }

    /// A list of different scopes (RFC 6749 section 3.3).
    pub(super) fn scopes(&mut self, field: &str, most: usize, scopes: Vec<String>) -> Vec<String> {
        self.list(field, most, scopes, |fields, path, scope| {
            if !is_text(&scope, |byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
                let what = format!("must have 1 to {NAME} printable ASCII characters without space, \" and \\");
                fields.refuse(path, what);
            }
            scope
        })
    }

    fn list(
        &mut self,
        field: &str,
        most: usize,
        items: Vec<String>,
        mut read: impl FnMut(&mut Self, String, String) -> String,
    ) -> Vec<String> {
        if items.len() > most {
            self.refuse(field, format!("must have at most {most} elements"));
            return Vec::new();
        }
        let mut taken: Vec<String> = Vec::with_capacity(items.len());
        for (at, item) in items.into_iter().enumerate() {
            let path = format!("{field}[{at}]");
            if taken.contains(&item) {
                self.refuse(&path, "must not repeat an element");
            }
            taken.push(read(self, path, item));
        }
        taken
    }

    /// Text for people: empty is unset.
    pub(super) fn label(&mut self, field: &str, text: String) -> Option<String> {
        if text.chars().count() > NAME || text.chars().any(char::is_control) {
            self.refuse(field, format!("must have at most {NAME} characters and no control characters"));
        }
        (!text.is_empty()).then_some(text)
    }

    /// A browser's name of itself: cut, since nobody here chose its length.
    pub(super) fn user_agent(&mut self, field: &str, text: &str) -> Option<String> {
        if text.chars().any(char::is_control) {
            self.refuse(field, "must have no control characters");
        }
        (!text.is_empty()).then(|| text.chars().take(NAME).collect())
    }

    /// An address, in the one spelling of its kind: empty is unset.
    pub(super) fn ip_address(&mut self, field: &str, text: &str) -> Option<String> {
        if text.is_empty() {
            return None;
        }
        let address = text.parse::<IpAddr>().ok();
        if address.is_none() {
            self.refuse(field, "must be an IPv4 or IPv6 address");
        }
        address.map(|address| address.to_string())
    }

    /// A lifetime: unset is unset, and zero is not unset.
    pub(super) fn ttl(&mut self, field: &str, duration: Option<prost_types::Duration>) -> Option<Duration> {
        let duration = duration?;
        let seconds = u64::try_from(duration.seconds).unwrap_or(0);
        if duration.nanos != 0 || seconds == 0 || seconds > LONGEST.as_secs() {
            self.refuse(field, format!("must be whole seconds, from 1s to {}s", LONGEST.as_secs()));
            return None;
        }
        Some(Duration::from_secs(seconds))
    }

    /// An instant that must not lie in the future; a caller's clock that runs a little ahead is no fault.
    pub(super) fn past(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        const AHEAD: Duration = Duration::from_secs(5);
        let time = time?;
        let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
        let instant = nanos
            .filter(|_| (0..=253_402_300_799).contains(&time.seconds))
            .map(|nanos| Timestamp::from_seconds(time.seconds).after(Duration::from_nanos(nanos.into())));
        match instant {
            Some(instant) if instant <= now.after(AHEAD) => Some(instant.min(now)),
            _ => {
                self.refuse(field, "must be a time from 1970 to now");
                None
            }
        }
    }
}

fn is_text(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.len() <= NAME && text.bytes().all(allowed)
}
