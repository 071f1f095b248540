use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use prost_types::source_code_info::Location;

/// The package the tests are about.
pub(crate) const PACKAGE: &str = "symbolon.auth.v1";

/// The contract as the program carries it.
pub(crate) fn contract() -> DescriptorPool {
    DescriptorPool::decode(symbolon::pb::FILE_DESCRIPTOR_SET).unwrap()
}

/// The files of our own package.
pub(crate) fn own_files(contract: &DescriptorPool) -> Vec<FileDescriptor> {
    let files: Vec<_> = contract.files().filter(|file| file.package_name() == PACKAGE).collect();
    assert!(!files.is_empty());
    files
}

/// Every message of our own package.
pub(crate) fn own_messages(contract: &DescriptorPool) -> Vec<MessageDescriptor> {
    let messages = contract.all_messages().filter(|message| message.package_name() == PACKAGE);
    messages.filter(|message| !message.is_map_entry()).collect()
}

/// The comment above a thing, in one line.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map(Location::leading_comments).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
