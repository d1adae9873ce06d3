//! RedisLock and the ways in which servers and networks fail.
