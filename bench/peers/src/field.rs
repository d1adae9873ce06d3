//! Who takes part.

use crate::peer::Peer;

/// Those that can run here, and those that cannot, with the reason.
pub struct Field {
    pub peers: Vec<Peer>,
    pub absent: Vec<(Peer, String)>,
}

impl Field {
    /// Those asked for, or all but those that have to be asked for.
    pub fn of(asked: &[Peer]) -> Self {
        let all = match asked {
            [] => Peer::USUAL,
            asked => asked,
        };
        let mut field = Self {
            peers: Vec::new(),
            absent: Vec::new(),
        };
        for peer in all {
            match peer.hindrance() {
                None => field.peers.push(*peer),
                Some(why) => field.absent.push((*peer, why)),
            }
        }
        field
    }
}
