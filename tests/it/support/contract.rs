use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use prost_types::source_code_info::Location;

/// The package the tests are about.
pub(crate) const PACKAGE: &str = "symbolon.auth.v1";

/// The contract as the program carries it.
pub(crate) fn contract() -> DescriptorPool {
    DescriptorPool::decode(symbolon::pb::FILE_DESCRIPTOR_SET).unwrap()
}

/// The package the user's backend implements.
const IDENTITY: &str = "symbolon.identity.v1";

/// The files of our own packages.
pub(crate) fn own_files(contract: &DescriptorPool) -> Vec<FileDescriptor> {
    let files: Vec<_> = contract.files().filter(|file| is_own(file.package_name())).collect();
    assert!(files.len() > 2);
    files
}

fn is_own(package: &str) -> bool {
    [PACKAGE, IDENTITY].contains(&package)
}

/// Every message of our own packages.
pub(crate) fn own_messages(contract: &DescriptorPool) -> Vec<MessageDescriptor> {
    let messages = contract.all_messages().filter(|message| is_own(message.package_name()));
    messages.filter(|message| !message.is_map_entry()).collect()
}

/// The comment above a thing, in one line.
pub(crate) fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref();
    let location = info.and_then(|info| info.location.iter().find(|location| location.path == path));
    let text = location.map(Location::leading_comments).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
