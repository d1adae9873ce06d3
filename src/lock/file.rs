//! placeholder
#[derive(Debug)]
/// x
pub struct FileLock;
