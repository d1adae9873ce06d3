//! Who goes first at which task, by the rule of the scheduler: rendezvous hashing of both names.

/// How many of the tasks each instance goes first at. The names are made up, and always the same.
pub fn shares(replicas: usize, tasks: usize) -> Vec<usize> {
    let instances: Vec<u64> = (0..replicas)
        .map(|n| hash(&format!("host-{n}:1")))
        .collect();
    let mut shares = vec![0; replicas];
    for task in 0..tasks {
        let task = hash(&format!("task_{task}"));
        let first = (0..replicas).max_by_key(|n| instances.get(*n).map(|own| mix(own ^ task)));
        if let Some(share) = first.and_then(|first| shares.get_mut(first)) {
            *share += 1;
        }
    }
    shares
}

fn hash(name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    mix(hash)
}

/// The finalizer of SplitMix64.
fn mix(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_has_one_who_goes_first_and_they_share_them() {
        assert_eq!(shares(1, 10), [10]);
        let shares = shares(10, 10_000);
        assert_eq!(shares.iter().sum::<usize>(), 10_000);
        assert!(
            shares.iter().all(|n| (900..1_100).contains(n)),
            "{shares:?}"
        );
    }
}
