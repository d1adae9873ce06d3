//! Few items for many values: a set as ranges with steps.
//!
//! A spec may say in a thousand bytes what takes more as a plain list (`*/2,7` and the like). What is
//! written has to be read again, so such a set is written in steps too.

/// The values `first`, `first + step`, … `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Steps {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) step: u32,
}

impl Steps {
    fn values(self) -> impl Iterator<Item = u32> {
        (self.first..=self.last).step_by(self.step as usize)
    }
}

/// Steps that together are the sorted `values`, and no others: by and by the one that adds most.
pub(super) fn cover(values: &[u32]) -> Vec<Steps> {
    let mut left: Vec<u32> = values.to_vec();
    let mut cover = Vec::new();
    while let Some(&first) = left.first() {
        let single = Steps {
            first,
            last: first,
            step: 1,
        };
        let best = candidates(values)
            .map(|steps| (steps.values().filter(|v| has(&left, *v)).count(), steps))
            .fold((1, single), |best, other| match other.0 > best.0 {
                true => other,
                false => best,
            });
        left.retain(|value| !best.1.values().any(|v| v == *value));
        cover.push(best.1);
    }
    cover
}

/// The longest steps of each size from each of the values.
fn candidates(values: &[u32]) -> impl Iterator<Item = Steps> + '_ {
    let widest = match (values.first(), values.last()) {
        (Some(first), Some(last)) => last - first,
        _ => 0,
    };
    values.iter().flat_map(move |&first| {
        (1..=widest).map(move |step| {
            let is_in = |value: &u32| has(values, *value);
            let run = (first..).step_by(step as usize).take_while(is_in);
            let last = run.last().unwrap_or(first);
            Steps { first, last, step }
        })
    })
}

fn has(values: &[u32], value: u32) -> bool {
    values.binary_search(&value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(values: &[u32]) -> (usize, Vec<u32>) {
        let cover = cover(values);
        let mut all: Vec<u32> = cover.iter().flat_map(|steps| steps.values()).collect();
        all.sort_unstable();
        all.dedup();
        (cover.len(), all)
    }

    #[test]
    fn what_was_said_in_few_steps_is_said_in_few_again() {
        let thirds = (1970..=2199).step_by(3);
        let fifths = (1971..=2199).step_by(5);
        let mut years: Vec<u32> = thirds.chain(fifths).chain([1972]).collect();
        years.sort_unstable();
        years.dedup();
        let (items, all) = covered(&years);
        assert_eq!(all, years);
        assert_eq!(items, 3);
    }

    #[test]
    fn any_set_is_covered_whole_and_no_further() {
        let mut state = 7_u64;
        for _ in 0..200 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            let values: Vec<u32> = (0..60).filter(|bit| state >> bit & 1 == 1).collect();
            let (items, all) = covered(&values);
            assert_eq!(all, values);
            assert!(items <= values.len());
        }
        assert!(cover(&[]).is_empty());
    }
}
