//! A Redis Cluster: many primaries, each with some of the tasks.

mod slots;

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use deadpool_redis::redis::{self, Value};
use tokio::task::JoinSet;

use crate::error::ErrorKind;
use crate::lock::redis::address::Address;
use crate::lock::redis::changes::{Changes, Contact};
use crate::lock::redis::dial::Dial;
use crate::lock::redis::fault::{self, Fault, Phase, Redirect, Remedy};
use crate::lock::redis::script::{Call, Manner, Reply, Script};
use crate::lock::redis::server::Server;
use crate::lock::redis::store::{Node, Purpose};

pub(super) use slots::{At, Slots, slot};

/// How often a call is sent on before the cluster counts as too busy with itself.
const ROUNDS: usize = 4;

/// The nodes of a cluster, as far as they are known.
pub(super) struct Cluster {
    /// Rights, TLS, and the nodes that were named by the user.
    address: Address,
    seeds: Vec<At>,
    dial: Dial,
    changes: Changes,
    // Held to look or to set, never across an await.
    known: Mutex<Known>,
    /// Grows when the map of slots is found wrong.
    wanted: AtomicU64,
    // Held by the one call that reads the map anew.
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    slots: Arc<Slots>,
    /// As much of `wanted` as the map has seen.
    version: u64,
    nodes: HashMap<At, Arc<Node>>,
}

/// One call on its way.
struct Pending<'a> {
    place: usize,
    slot: u16,
    call: &'a Call<'a>,
    /// Where it was sent on to, if it was.
    redirect: Option<Redirect>,
    /// Why it has no answer yet.
    failed: Option<Failed>,
}

/// What became of a call.
struct Failed {
    fault: Fault,
    /// The node that was asked.
    at: Option<At>,
}

impl Cluster {
    pub(super) fn new(address: Address, seeds: &[At], dial: Dial, changes: Changes) -> Self {
        Self {
            address,
            seeds: seeds.to_vec(),
            dial,
            changes,
            known: Mutex::default(),
            wanted: AtomicU64::new(1),
            refreshing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// All primaries that have slots.
    pub(super) async fn primaries(&self) -> Result<Vec<Arc<Node>>, Fault> {
        self.distrust();
        self.refresh().await?;
        let slots = self.known().slots.clone();
        if !slots.is_complete() {
            return Err(fault::no_owner());
        }
        slots.primaries().iter().map(|at| self.node(at)).collect()
    }

    /// The primary of a slot.
    pub(super) fn owner(&self, slot: u16) -> Result<Arc<Node>, Fault> {
        let slots = self.known().slots.clone();
        self.node(slots.owner(slot).ok_or_else(fault::no_owner)?)
    }

    /// Makes all calls, each at the node of its slot; one reply for each, in their order. What is
    /// for one node is one round trip, and nodes are asked at the same time.
    pub(super) async fn run(
        &self,
        purpose: Purpose,
        script: &Script,
        calls: &[(u16, Call<'_>)],
        manner: Manner,
    ) -> Vec<Reply> {
        let mut replies: Vec<Option<Reply>> = calls.iter().map(|_| None).collect();
        let pending = calls.iter().enumerate();
        let mut pending: Vec<Pending<'_>> = pending
            .map(|(place, (slot, call))| Pending {
                place,
                slot: *slot,
                call,
                redirect: None,
                failed: None,
            })
            .collect();
        for round in 0..ROUNDS {
            let refreshed = self.refresh().await;
            let (targets, lost) = self.aim(pending, round, refreshed.err());
            for (place, fault) in lost {
                set(&mut replies, place, Err(fault));
            }
            let asked = targets.into_iter().map(|target| async move {
                let calls: Vec<&Call<'_>> = target.calls.iter().map(|p| p.call).collect();
                let manner = Manner {
                    is_asking: target.is_asking,
                    ..manner
                };
                let said = target.node.run(purpose, script, &calls, manner).await;
                (target, said)
            });
            pending = Vec::new();
            for (target, said) in all(asked.map(Box::pin).collect()).await {
                for (sent, reply) in target.calls.into_iter().zip(said) {
                    match reply {
                        Err(fault) => match self.again(sent, fault, &target.at) {
                            Ok(again) => pending.push(again),
                            Err((place, fault)) => set(&mut replies, place, Err(fault)),
                        },
                        reply => set(&mut replies, sent.place, reply),
                    }
                }
            }
            if pending.is_empty() {
                break;
            }
        }
        for Pending { place, failed, .. } in pending {
            let fault = failed.map_or_else(fault::moves, |failed| failed.fault);
            let fault = match fault.redirect() {
                Some(_) => fault::moves(),
                None => fault,
            };
            set(&mut replies, place, Err(fault));
        }
        let missing = || Err(fault::no_owner());
        replies
            .into_iter()
            .map(|r| r.unwrap_or_else(missing))
            .collect()
    }

    /// Sorts calls by the node that they go to. Some have nowhere to go, or no other place than
    /// the one that just failed them.
    fn aim<'a>(
        &self,
        pending: Vec<Pending<'a>>,
        round: usize,
        unknown: Option<Fault>,
    ) -> (Vec<Target<'a>>, Vec<(usize, Fault)>) {
        let slots = self.known().slots.clone();
        let mut targets: Vec<Target<'a>> = Vec::new();
        let mut lost = Vec::new();
        for call in pending {
            let (at, is_asking) = match &call.redirect {
                Some(redirect) => (Some(redirect.at.clone()), redirect.is_asking),
                None => (slots.owner(call.slot).cloned(), false),
            };
            let failed = call.failed.as_ref();
            let is_same = round > 0 && call.redirect.is_none();
            let has_failed = is_same && failed.is_some_and(|f| f.at == at);
            let node = match at.as_ref().filter(|_| !has_failed) {
                Some(at) => self.node(at),
                None => Err(failed
                    .map(|f| f.fault.clone())
                    .or_else(|| unknown.clone())
                    .unwrap_or_else(fault::no_owner)),
            };
            match (node, at) {
                (Ok(node), Some(at)) => {
                    let same = |t: &&mut Target<'_>| t.at == at && t.is_asking == is_asking;
                    match targets.iter_mut().find(same) {
                        Some(target) => target.calls.push(call),
                        None => targets.push(Target {
                            at,
                            node,
                            is_asking,
                            calls: vec![call],
                        }),
                    }
                }
                (Err(fault), _) => lost.push((call.place, fault)),
                (Ok(_), None) => lost.push((call.place, fault::no_owner())),
            }
        }
        (targets, lost)
    }

    /// A call that failed at a node, to be sent again elsewhere; or what it failed of.
    fn again<'a>(
        &self,
        sent: Pending<'a>,
        fault: Fault,
        at: &At,
    ) -> Result<Pending<'a>, (usize, Fault)> {
        let fault = fault.of_node(&at.0, at.1);
        // What may have been executed before has not been undone by this.
        let was_lost = |f: &Failed| f.fault.kind == ErrorKind::StoreAmbiguous;
        let fault = match &sent.failed {
            Some(before) if was_lost(before) && fault.redirect().is_none() => {
                fault.after_a_lost_request()
            }
            _ => fault,
        };
        let redirect = fault.redirect().map(|r| r.from(&at.0));
        let is_asking = redirect.as_ref().is_some_and(|r| r.is_asking);
        // A node that serves others, and not this call for a reason that has nothing to do with
        // the cluster, has its reason everywhere.
        let may_be_elsewhere =
            redirect.is_some() || fault.remedy != Remedy::Keep || fault.is_cluster_down();
        if !may_be_elsewhere {
            return Err((sent.place, fault));
        }
        if !is_asking {
            self.distrust();
        }
        let failed = match sent.failed {
            Some(before) if was_lost(&before) && redirect.is_some() => before,
            _ => Failed {
                fault,
                at: Some(at.clone()),
            },
        };
        Ok(Pending {
            redirect,
            failed: Some(failed),
            ..sent
        })
    }

    /// Has the map of slots read anew by the next call.
    fn distrust(&self) {
        self.wanted.fetch_add(1, Ordering::AcqRel);
    }

    /// Reads the map of slots anew if it may be wrong. An error only if there is none at all.
    async fn refresh(&self) -> Result<(), Fault> {
        let wanted = self.wanted.load(Ordering::Acquire);
        if self.known().version >= wanted {
            return Ok(());
        }
        let _only_one = self.refreshing.lock().await;
        if self.known().version >= wanted {
            return Ok(());
        }
        // What is found wrong from here on is not cured by this.
        let wanted = self.wanted.load(Ordering::Acquire);
        match self.ask_all().await {
            Ok(slots) => self.install(slots, wanted),
            // The old one is better than none, and the next call tries again.
            Err(fault) if self.known().slots.covered() == 0 => return Err(fault),
            Err(_) => {}
        }
        Ok(())
    }

    /// Asks all nodes at once; the first that knows of all slots decides.
    async fn ask_all(&self) -> Result<Slots, Fault> {
        let mut places: Vec<At> = self.known().slots.primaries().to_vec();
        places.extend(
            self.seeds
                .iter()
                .filter(|s| !places.contains(s))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let mut asked = JoinSet::new();
        for (host, port) in places {
            let info = self.address.at(&host, port).info().clone();
            let dial = self.dial.clone();
            asked.spawn(async move {
                let mut cmd = redis::cmd("CLUSTER");
                cmd.arg("SLOTS");
                let answer = dial.ask_once::<Value>(&info, &cmd).await;
                answer.map(|answer| Slots::read(&answer, &host))
            });
        }
        let mut best: Option<Slots> = None;
        let mut failure = None;
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok(Ok(Some(slots))) if slots.is_complete() => return Ok(slots),
                Ok(Ok(Some(slots))) => {
                    let is_better = |b: &Slots| b.covered() < slots.covered();
                    if best.as_ref().is_none_or(is_better) {
                        best = Some(slots);
                    }
                }
                Ok(Ok(None)) => failure = Some(fault::no_cluster()),
                Ok(Err(error)) => failure = Some(fault::classify(&error, Phase::Connect)),
                // Only a runtime that ends cancels it.
                Err(_) => {}
            }
        }
        best.ok_or_else(|| failure.unwrap_or_else(fault::no_owner))
    }

    fn install(&self, slots: Slots, version: u64) {
        let mut known = self.known();
        let has_moved = known.slots.moves_in(&slots);
        let is_gone = |at: &At, _: &mut Arc<Node>| !slots.primaries().contains(at);
        let gone: Vec<_> = known.nodes.extract_if(is_gone).collect();
        let old = std::mem::replace(&mut known.slots, Arc::new(slots));
        known.version = version;
        drop(known);
        if !has_moved {
            return;
        }
        // Some tasks have another server than before.
        for (at, node) in gone {
            let contact: Contact = node.server.take_contact();
            self.changes.add(&contact, Some(at), Some(old.clone()));
        }
        self.changes.count();
    }

    /// The nodes that have been asked anything.
    pub(super) fn nodes(&self) -> Vec<Arc<Node>> {
        self.known().nodes.values().cloned().collect()
    }

    /// Whether `node` served a slot by `slots`, or by what is known now.
    pub(super) fn served(&self, slots: Option<&Slots>, slot: u16, node: &At) -> bool {
        match slots {
            Some(slots) => slots.owner(slot) == Some(node),
            None => self.known().slots.owner(slot) == Some(node),
        }
    }

    /// Reads the map of slots anew.
    pub(super) async fn look_again(&self) {
        self.distrust();
        // If it cannot be read, the next call tries again, and says why.
        let _ = self.refresh().await;
    }

    fn node(&self, at: &At) -> Result<Arc<Node>, Fault> {
        let mut known = self.known();
        if let Some(node) = known.nodes.get(at) {
            return Ok(node.clone());
        }
        let server = Server::new(
            self.address.at(&at.0, at.1),
            Some(at.clone()),
            &self.dial,
            self.changes.clone(),
        );
        let server = server.map_err(|e| fault::cannot_be_used(e.to_string()))?;
        let node = Arc::new(Node::new(server));
        known.nodes.insert(at.clone(), node.clone());
        Ok(node)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panics while holding it has changed nothing, or one field whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls that go to one node.
struct Target<'a> {
    at: At,
    node: Arc<Node>,
    is_asking: bool,
    calls: Vec<Pending<'a>>,
}

fn set(replies: &mut [Option<Reply>], place: usize, reply: Reply) {
    if let Some(slot) = replies.get_mut(place) {
        *slot = Some(reply);
    }
}

/// Waits for all of a few futures, which go on side by side.
async fn all<F: Future>(futures: Vec<Pin<Box<F>>>) -> Vec<F::Output> {
    let mut waiting: Vec<Option<Pin<Box<F>>>> = futures.into_iter().map(Some).collect();
    let mut done = Vec::with_capacity(waiting.len());
    poll_fn(|context| {
        for slot in &mut waiting {
            let Some(future) = slot else { continue };
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                done.push(output);
                *slot = None;
            }
        }
        match waiting.iter().all(Option::is_none) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done
}
