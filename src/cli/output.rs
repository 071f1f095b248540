//! What commands print: data on stdout, as a table for people or as JSON for programs.

use std::io::Write;

use clap::ValueEnum;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};

use super::Failure;
use crate::pb;

/// How a list is shown.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Output {
    Table,
    Json,
}

/// Writes data to stdout. A reader that went away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n')) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The message as protobuf's JSON mapping has it, as grpcurl shows it.
pub(super) fn json(message: &str, content: &impl Message) -> Result<String, Failure> {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET)?;
    let descriptor = pool.get_message_by_name(&format!("symbolon.auth.v1.{message}")).ok_or("no such message")?;
    let dynamic = DynamicMessage::decode(descriptor, content.encode_to_vec().as_slice())?;
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::pretty(&mut bytes);
    dynamic.serialize_with_options(&mut serializer, &SerializeOptions::new())?;
    Ok(String::from_utf8(bytes)?)
}

/// For people.
pub(super) fn shown(time: prost_types::Timestamp) -> String {
    crate::time::Timestamp::from_seconds(time.seconds).to_string()
}

/// Columns as wide as their widest cell. What a browser said of itself is shown on one line.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let lines: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().enumerate().map(|(at, cell)| format!("{cell:<0$}", width(at)));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(|cells| line(cells)).collect()
}
