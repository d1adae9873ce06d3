//! Faults that no server told: what we found ourselves.

use crate::error::ErrorKind;
use crate::lock::redis::fault::{Fault, Remedy};

fn fault(kind: ErrorKind, remedy: Remedy, text: &'static str) -> Fault {
    Fault {
        kind,
        remedy,
        text,
        detail: String::new(),
        source: None,
    }
}

/// The server says that it is a replica: it would refuse the first write, and may be what is left
/// of an old primary.
pub(in crate::lock::redis) fn is_a_replica() -> Fault {
    let text = "the server is a read-only replica: point the address at the primary";
    fault(ErrorKind::StoreRefused, Remedy::Drop, text)
}

/// No node of a cluster is known to serve a slot.
pub(in crate::lock::redis) fn no_owner() -> Fault {
    let text = "no node of the cluster serves all slots: see CLUSTER INFO";
    fault(ErrorKind::StoreUnavailable, Remedy::Keep, text)
}

/// A node answered to `CLUSTER SLOTS` what the protocol does not know.
pub(in crate::lock::redis) fn no_cluster() -> Fault {
    let text = "CLUSTER SLOTS gave an answer of unknown shape";
    fault(ErrorKind::StoreProtocol, Remedy::Keep, text)
}

/// The nodes of a cluster send a request from one to the other.
pub(in crate::lock::redis) fn moves() -> Fault {
    let text = "the cluster is being rearranged";
    fault(ErrorKind::StoreUnavailable, Remedy::Keep, text)
}

/// The sentinels answered, and know no such primary.
pub(in crate::lock::redis) fn unknown_primary() -> Fault {
    let text = "the sentinels know no primary of this name";
    fault(ErrorKind::InvalidConfig, Remedy::Drop, text)
}

/// No sentinel said where the primary is; why one of them did not.
pub(in crate::lock::redis) fn no_sentinel(why: Option<Fault>) -> Fault {
    let text = "no sentinel said where the primary is";
    let Some(why) = why else {
        return fault(ErrorKind::StoreUnavailable, Remedy::Drop, text);
    };
    let detail = match why.detail.as_str() {
        "" => why.text.to_owned(),
        detail => format!("{}: {detail}", why.text),
    };
    Fault {
        detail,
        source: why.source,
        ..fault(why.kind, Remedy::Drop, text)
    }
}

/// A server that was named by others cannot even be tried.
pub(in crate::lock::redis) fn cannot_be_used(detail: String) -> Fault {
    let text = "the server that was named cannot be used";
    Fault {
        detail,
        ..fault(ErrorKind::StoreUnavailable, Remedy::Drop, text)
    }
}

/// A claim was made by what is known of a server that another one has replaced meanwhile.
pub(in crate::lock::redis) fn was_replaced() -> Fault {
    let text = "the server has been replaced: what it knew may be lost";
    fault(ErrorKind::StoreUnavailable, Remedy::Keep, text)
}

/// Waiting for another call's attempt to connect took too long.
pub(in crate::lock::redis) fn connecting_took_too_long() -> Fault {
    let text = "no connection in time";
    fault(ErrorKind::StoreUnavailable, Remedy::Drop, text)
}
