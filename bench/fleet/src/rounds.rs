//! The seconds on which everything is due.

use std::ops::Range;

use anyhow::{Result, ensure};

use crate::clock::now_us;

/// Instants that are counted: `count` of them, `period` seconds apart.
#[derive(Debug, Clone, Copy)]
pub struct Rounds {
    /// The first one, seconds since 1970.
    pub first: i64,
    pub count: i64,
    pub period: i64,
}

impl Rounds {
    /// Rounds that begin soon, at the seconds that [`spec`] with the same numbers names.
    ///
    /// What is due before them is warm-up: it is at least one round if the processes run already.
    pub fn soon(count: u32, period: u32, offset: u32) -> Result<Self> {
        check(period, offset)?;
        let (period, offset) = (i64::from(period), i64::from(offset));
        let earliest = now_us() / 1_000_000 + period + 1;
        let first = (earliest - offset).div_euclid(period) * period + period + offset;
        Ok(Self {
            first,
            count: i64::from(count),
            period,
        })
    }

    /// The same rounds a while later.
    pub fn shifted(self, seconds: i64) -> Self {
        Self {
            first: self.first + seconds,
            ..self
        }
    }

    pub fn instants(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { first, period, .. } = *self;
        (0..self.count).map(move |n| first + n * period)
    }

    /// Which round an instant is, if it is one.
    pub fn index(&self, instant: i64) -> Option<usize> {
        let since = instant - self.first;
        let round = since.div_euclid(self.period);
        let is_one = since.rem_euclid(self.period) == 0 && (0..self.count).contains(&round);
        usize::try_from(round).ok().filter(|_| is_one)
    }

    /// The time that belongs to these rounds, microseconds since 1970: from a moment before the
    /// first until a moment before the one that would follow. Both ends are quiet.
    pub fn window_us(&self) -> Range<i64> {
        let moment = 100_000;
        let end = self.first + self.count * self.period;
        self.first * 1_000_000 - moment..end * 1_000_000 - moment
    }
}

/// The cron spec that names every `period`th second of a minute from `offset` on.
pub fn spec(period: u32, offset: u32) -> Result<String> {
    check(period, offset)?;
    Ok(format!("{offset}-59/{period} * * * * *"))
}

fn check(period: u32, offset: u32) -> Result<()> {
    let fits = period > 0 && 60 % period == 0 && offset < period;
    ensure!(
        fits,
        "every {period} s from second {offset} on: a period must divide a minute, and be longer than \
         its offset"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_in_its_round_or_in_none() {
        let rounds = Rounds {
            first: 120,
            count: 3,
            period: 4,
        };
        let index = |at| rounds.index(at);
        assert_eq!(
            [index(116), index(120), index(121), index(128), index(132)],
            [None, Some(0), None, Some(2), None]
        );
        assert_eq!(rounds.window_us(), 119_900_000..131_900_000);
    }

    #[test]
    fn rounds_begin_where_the_spec_says() {
        let rounds = Rounds::soon(5, 4, 2).unwrap();
        assert_eq!(rounds.first % 4, 2);
        assert!(rounds.first * 1_000_000 > now_us() + 4_000_000);
        assert!(spec(7, 0).is_err());
        assert_eq!(spec(4, 2).unwrap(), "2-59/4 * * * * *");
    }
}
