//! What is done to a primary.

use super::node::Topology;

macro_rules! blows {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Blow { $($(#[$doc])* $variant,)* }

        impl Blow {
            const ALL: &'static [Blow] = &[$(Blow::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Blow::$variant => $word,)* }
            }
        }
    };
}

blows! {
    /// `kill -9`; it comes back without its data, as a replica.
    Kill = "kill",
    /// The same, and its replicas had not received anything for a while.
    StallKill = "stall-kill",
    /// The same, of one of two replicas.
    HalfStallKill = "half-stall-kill",
    /// SIGSTOP; it goes on when another has its place, and does not know of that.
    Stop = "stop",
    /// The same, and its replicas had not received anything for a while.
    StallStop = "stall-stop",
    /// It is cut off from its replicas, the sentinels and some of its clients, and serves the others.
    Part = "part",
    /// The same, with one of its two replicas on its side.
    HalfPart = "half-part",
}

/// What happens when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    Kill,
    Stop,
    Part,
}

/// Who does not get the last writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stalled {
    Nobody,
    One,
    All,
}

impl Blow {
    pub fn of(topology: Topology) -> Vec<Blow> {
        let all = Self::ALL.iter().copied();
        all.filter(|b| b.is_for(topology)).collect()
    }

    /// A node of a cluster has one replica, and talks to the others past its gate.
    fn is_for(self, topology: Topology) -> bool {
        topology == Topology::Sentinel
            || self.stalled() != Stalled::One && self.deed() != Deed::Part
    }

    pub fn deed(self) -> Deed {
        match self {
            Blow::Kill | Blow::StallKill | Blow::HalfStallKill => Deed::Kill,
            Blow::Stop | Blow::StallStop => Deed::Stop,
            Blow::Part | Blow::HalfPart => Deed::Part,
        }
    }

    pub fn stalled(self) -> Stalled {
        match self {
            Blow::Kill | Blow::Stop => Stalled::Nobody,
            Blow::HalfStallKill | Blow::HalfPart => Stalled::One,
            Blow::StallKill | Blow::StallStop | Blow::Part => Stalled::All,
        }
    }

    /// Reads `kill,part`.
    pub fn parse_list(text: &str) -> Result<Vec<Blow>, String> {
        let read = |word| {
            let found = Self::ALL.iter().find(|b| b.as_str() == word);
            found
                .copied()
                .ok_or_else(|| format!("no such fault: {word}"))
        };
        text.split(',').map(read).collect()
    }
}
