//! placeholder
#[derive(Debug)]
/// x
pub struct RedisLock;
#[derive(Debug)]
/// x
pub struct RedisLockBuilder;
