//! Which node serves which key.

use deadpool_redis::redis::Value;

use crate::lock::redis::keys;

/// A host and a port.
pub(in crate::lock::redis) type At = (String, u16);

/// How many slots a cluster has.
const SLOTS: usize = 16_384;

/// The slot of a key: of its tag, if it has one.
pub(in crate::lock::redis) fn slot(key: &str) -> u16 {
    let mut crc: u16 = 0; // CRC-16/XMODEM
    for byte in keys::hashed(key).bytes() {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = match crc & 0x8000 {
                0 => crc << 1,
                _ => (crc << 1) ^ 0x1021,
            };
        }
    }
    crc % SLOTS as u16
}

/// The primaries of a cluster, and their slots.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::lock::redis) struct Slots {
    primaries: Vec<At>,
    /// For each slot the place of its primary.
    owners: Vec<Option<u16>>,
}

impl Slots {
    /// Reads an answer to `CLUSTER SLOTS` that came from `asked`.
    pub(super) fn read(answer: &Value, asked: &str) -> Option<Self> {
        let Value::Array(ranges) = answer else {
            return None;
        };
        let mut slots = Self {
            primaries: Vec::new(),
            owners: vec![None; SLOTS],
        };
        for range in ranges {
            let Value::Array(range) = range else {
                return None;
            };
            let [
                Value::Int(first),
                Value::Int(last),
                Value::Array(primary),
                ..,
            ] = range.as_slice()
            else {
                return None;
            };
            let [host, Value::Int(port), ..] = primary.as_slice() else {
                return None;
            };
            let host = match host {
                Value::BulkString(host) => String::from_utf8(host.clone()).ok()?,
                Value::SimpleString(host) => host.clone(),
                _ => String::new(),
            };
            // A node that does not know how it is reached is reached as it was.
            let host = match host.as_str() {
                "" | "?" => asked.to_owned(),
                _ => host,
            };
            let owner = slots.place_of((host, u16::try_from(*port).ok()?))?;
            let range = usize::try_from(*first).ok()?..=usize::try_from(*last).ok()?;
            for slot in slots.owners.get_mut(range)? {
                *slot = Some(owner);
            }
        }
        Some(slots)
    }

    fn place_of(&mut self, at: At) -> Option<u16> {
        let known = self.primaries.iter().position(|known| *known == at);
        let place = known.unwrap_or_else(|| {
            self.primaries.push(at);
            self.primaries.len() - 1
        });
        u16::try_from(place).ok()
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&At> {
        let place = (*self.owners.get(usize::from(slot))?)?;
        self.primaries.get(usize::from(place))
    }

    pub(super) fn primaries(&self) -> &[At] {
        &self.primaries
    }

    /// How many slots have a primary.
    pub(super) fn covered(&self) -> usize {
        self.owners.iter().flatten().count()
    }

    pub(super) fn is_complete(&self) -> bool {
        self.covered() == SLOTS
    }

    /// Whether a slot that had a primary has another one in `next`.
    pub(super) fn moves_in(&self, next: &Self) -> bool {
        let slots = 0..u16::try_from(self.owners.len()).unwrap_or(u16::MAX);
        slots.into_iter().any(|slot| {
            let (before, after) = (self.owner(slot), next.owner(slot));
            before.is_some() && after.is_some() && before != after
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        for (key, expected) in [
            ("", 0),
            ("123456789", 0x31c3),
            ("foo", 12_182),
            ("{foo}:bar", 12_182),
            ("a{foo}b{c}", 12_182),
            ("foo{}", 5542),
        ] {
            assert_eq!(slot(key), expected % 16_384, "{key}");
        }
        assert_eq!(slot("task:lock:a"), slot("{task:lock:a}:state"));
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let node = Value::Array(vec![host, Value::Int(port)]);
        Value::Array(vec![Value::Int(first), Value::Int(last), node])
    }

    #[test]
    fn an_answer_of_a_node_is_read() {
        let host = || Value::BulkString(b"10.0.0.1".to_vec());
        let answer = Value::Array(vec![
            range(0, 99, host(), 7000),
            range(100, 16_383, Value::Nil, 7001),
        ]);
        let slots = Slots::read(&answer, "here").unwrap();
        assert_eq!(slots.owner(99), Some(&("10.0.0.1".to_owned(), 7000)));
        assert_eq!(slots.owner(100), Some(&("here".to_owned(), 7001)));
        assert!(slots.is_complete());
        let part = Value::Array(vec![range(0, 99, host(), 7002)]);
        let part = Slots::read(&part, "here").unwrap();
        assert!(!part.is_complete() && part.owner(100).is_none());
        assert!(slots.moves_in(&part));
        assert!(!slots.moves_in(&slots) && !Slots::default().moves_in(&slots));
        for bad in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(0, 16_384, host(), 1)]),
            Value::Array(vec![range(-1, 5, host(), 1)]),
            Value::Array(vec![range(9, 5, host(), 1)]),
            Value::Array(vec![range(0, 5, host(), 99_999)]),
        ] {
            assert_eq!(Slots::read(&bad, "here"), None, "{bad:?}");
        }
    }
}
