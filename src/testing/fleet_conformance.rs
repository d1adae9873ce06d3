//! What every [`FleetStore`] must do, as tests that any implementation can run.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::ErrorKind;
use crate::fleet::{Expected, FleetStore, Listing, Record, Version, Write, Written};
use crate::testing::case::{Breach, Outcome, run, same};

/// A store, and the means to make its time pass.
#[async_trait]
pub trait FleetStoreUnderTest: Send + Sync {
    /// The store, as one instance sees it.
    fn store(&self) -> Arc<dyn FleetStore>;

    /// The same store, as another instance sees it.
    fn other(&self) -> Arc<dyn FleetStore>;

    /// Makes so much of the store's time pass.
    async fn pass(&self, time: Duration);
}

/// Runs every case on a shelf and a journal of its own; the store may hold others. Needs a tokio
/// runtime.
///
/// # Panics
///
/// At the first breach, with the case's name and what was wrong.
pub async fn fleet_conformance(subject: &impl FleetStoreUnderTest) {
    macro_rules! run {
        ($($case:ident)*) => {
            $(run("fleet store", stringify!($case), $case(&Case::new(subject))).await;)*
        };
    }
    run! {
        a_record_is_there_until_it_is_removed
        a_record_is_written_only_if_it_is_as_expected
        of_many_who_expect_the_same_one_writes
        a_record_ends_by_itself
        a_listing_tells_what_was_written_since
        a_listing_tells_what_was_removed_since
        a_version_of_another_shelf_is_answered_with_all
        many_records_are_listed_whole
        values_come_back_as_they_were
        names_and_sizes_that_cannot_be_kept_are_refused
        a_journal_is_read_from_both_ends
        a_journal_keeps_its_last_entries
        what_was_written_wakes_others
        what_was_written_quietly_wakes_nobody
        shelves_do_not_disturb_each_other
    }
}

/// One case's shelf.
struct Case<'a> {
    subject: &'a dyn FleetStoreUnderTest,
    store: Arc<dyn FleetStore>,
    other: Arc<dyn FleetStore>,
    shelf: String,
}

impl<'a> Case<'a> {
    fn new(subject: &'a dyn FleetStoreUnderTest) -> Self {
        let random = RandomState::new().hash_one(0_u8);
        Self {
            subject,
            store: subject.store(),
            other: subject.other(),
            shelf: format!("conformance.{random:016x}"),
        }
    }

    fn put(&self, key: &str, value: &str) -> Write {
        Write::put(&self.shelf, key, value)
    }

    fn remove(&self, key: &str) -> Write {
        Write::remove(&self.shelf, key)
    }

    async fn done(&self, write: Write) -> Result<Version, Breach> {
        match self.store.write(&write).await? {
            Written::Done(version) => Ok(version),
            Written::Refused(found) => Err(Breach(format!("{write:?} was refused for {found:?}"))),
        }
    }

    async fn refused(&self, write: Write, found: Option<&str>) -> Outcome {
        match self.store.write(&write).await? {
            Written::Refused(record) => same(record.as_ref().map(|r| r.value.as_str()), found),
            Written::Done(_) => Err(Breach(format!("{write:?} was not refused"))),
        }
    }

    /// What another instance finds.
    async fn found(&self, key: &str) -> Result<Option<Record>, Breach> {
        Ok(self.other.get(&self.shelf, key).await?)
    }

    async fn is(&self, key: &str, value: Option<&str>) -> Outcome {
        let found = self.found(key).await?;
        same(found.as_ref().map(|r| r.value.as_str()), value)
    }

    async fn list(&self, since: Version) -> Result<Listing, Breach> {
        Ok(self.other.list(&self.shelf, since).await?)
    }
}

fn texts(listing: &Listing) -> Vec<(&str, &str)> {
    let records = listing.records.iter();
    records
        .map(|r| (r.key.as_str(), r.value.as_str()))
        .collect()
}

async fn a_record_is_there_until_it_is_removed(case: &Case<'_>) -> Outcome {
    case.is("a", None).await?;
    let first = case.done(case.put("a", "1")).await?;
    case.is("a", Some("1")).await?;
    let second = case.done(case.put("a", "2")).await?;
    same(second > first, true)?;
    same(case.found("a").await?.map(|r| r.version), Some(second))?;
    case.done(case.remove("a")).await?;
    case.is("a", None).await?;
    // There is nothing to remove, and so it is done.
    case.done(case.remove("a")).await.map(drop)
}

async fn a_record_is_written_only_if_it_is_as_expected(case: &Case<'_>) -> Outcome {
    let absent = |write: Write| write.only_if(Expected::Absent);
    let first = case.done(absent(case.put("a", "1"))).await?;
    case.refused(absent(case.put("a", "2")), Some("1")).await?;
    let second = case
        .done(case.put("a", "2").only_if(Expected::At(first)))
        .await?;
    let stale = case.put("a", "3").only_if(Expected::At(first));
    case.refused(stale, Some("2")).await?;
    case.refused(case.remove("a").only_if(Expected::At(first)), Some("2"))
        .await?;
    case.is("a", Some("2")).await?;
    case.done(case.remove("a").only_if(Expected::At(second)))
        .await?;
    case.refused(case.put("a", "4").only_if(Expected::At(second)), None)
        .await?;
    let third = case.done(absent(case.put("a", "5"))).await?;
    same(third > second, true)
}

async fn of_many_who_expect_the_same_one_writes(case: &Case<'_>) -> Outcome {
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..20 {
        let store = match n % 2 {
            0 => case.store.clone(),
            _ => case.other.clone(),
        };
        let write = case.put("a", &n.to_string()).only_if(Expected::Absent);
        asked.spawn(async move { store.write(&write).await });
    }
    let mut done = 0;
    while let Some(answer) = asked.join_next().await {
        let answer = answer.map_err(|e| Breach(e.to_string()))??;
        done += u32::from(matches!(answer, Written::Done(_)));
    }
    same(done, 1)
}

async fn a_record_ends_by_itself(case: &Case<'_>) -> Outcome {
    let ttl = Duration::from_secs(2);
    case.done(case.put("a", "1").lasting(ttl)).await?;
    let stays = case.done(case.put("b", "1")).await?;
    let found = case.found("a").await?;
    same(found.and_then(|r| r.expires).is_some(), true)?;
    case.subject.pass(ttl + Duration::from_millis(50)).await;
    case.is("a", None).await?;
    let listing = case.list(Version::default()).await?;
    same(texts(&listing), vec![("b", "1")])?;
    // A later one starts anew, and one without an end stays.
    case.done(case.put("a", "2").only_if(Expected::Absent))
        .await?;
    case.subject.pass(ttl + Duration::from_millis(50)).await;
    case.is("a", Some("2")).await?;
    let written = case.list(stays).await?;
    same(texts(&written), vec![("a", "2")])
}

async fn a_listing_tells_what_was_written_since(case: &Case<'_>) -> Outcome {
    let empty = case.list(Version::default()).await?;
    same(empty.is_whole && empty.records.is_empty(), true)?;
    for key in ["a", "b", "c"] {
        case.done(case.put(key, "1")).await?;
    }
    let all = case.list(Version::default()).await?;
    same(texts(&all), vec![("a", "1"), ("b", "1"), ("c", "1")])?;
    same(all.is_whole, true)?;
    let nothing = case.list(all.version).await?;
    same((texts(&nothing), nothing.is_whole), (vec![], false))?;
    same(nothing.version, all.version)?;
    case.done(case.put("b", "2")).await?;
    case.done(case.put("a", "2")).await?;
    let changed = case.list(all.version).await?;
    same(texts(&changed), vec![("b", "2"), ("a", "2")])?;
    let all = case.list(Version::default()).await?;
    same(texts(&all), vec![("c", "1"), ("b", "2"), ("a", "2")])
}

async fn a_listing_tells_what_was_removed_since(case: &Case<'_>) -> Outcome {
    for key in ["a", "b", "c"] {
        case.done(case.put(key, "1")).await?;
    }
    let before = case.list(Version::default()).await?.version;
    case.done(case.remove("b")).await?;
    let since = case.list(before).await?;
    same((texts(&since), since.is_whole), (vec![], false))?;
    same(since.removed, vec!["b".to_owned()])?;
    let all = case.list(Version::default()).await?;
    same(all.removed, Vec::<String>::new())?;
    // One that is there again is not removed.
    case.done(case.put("b", "2")).await?;
    let since = case.list(before).await?;
    same(texts(&since), vec![("b", "2")])?;
    same(since.removed, Vec::<String>::new())
}

async fn a_version_of_another_shelf_is_answered_with_all(case: &Case<'_>) -> Outcome {
    case.done(case.put("a", "1")).await?;
    // As after a loss of the store's data: this one has never come so far.
    let listing = case.list(Version::new(1_000_000)).await?;
    same(listing.is_whole, true)?;
    same(texts(&listing), vec![("a", "1")])
}

async fn many_records_are_listed_whole(case: &Case<'_>) -> Outcome {
    let long = "x".repeat(20_000);
    let mut expected = BTreeSet::new();
    for n in 0..1_200 {
        let key = format!("k{n}");
        let value = if n % 10 == 0 { &long } else { "short" };
        case.done(case.put(&key, value).quietly()).await?;
        expected.insert(key);
    }
    let listing = case.list(Version::default()).await?;
    let found = listing.records.iter().map(|r| r.key.clone());
    same(listing.records.len(), expected.len())?;
    same(found.collect::<BTreeSet<_>>(), expected)
}

async fn values_come_back_as_they_were(case: &Case<'_>) -> Outcome {
    let values = [
        "",
        "|",
        "1|2|3|4",
        "a\nb\r\n\0c",
        "{\"a\": [1, 2]}",
        "Grüße, 世界 \u{202e}\u{1f980}",
    ];
    for value in values {
        case.done(case.put("a", value)).await?;
        case.is("a", Some(value)).await?;
    }
    let long = "ü".repeat(1 << 19);
    case.done(case.put("a", &long)).await?;
    same(
        case.found("a").await?.is_some_and(|r| r.value == long),
        true,
    )
}

async fn names_and_sizes_that_cannot_be_kept_are_refused(case: &Case<'_>) -> Outcome {
    let long = "k".repeat(257);
    for key in ["", "a b", "a{b}", "a\nb", "ä", long.as_str()] {
        let refused = case.store.write(&case.put(key, "1")).await;
        same(refused.map_err(|e| e.kind()), Err(ErrorKind::InvalidName))?;
    }
    let longest = "k".repeat(256);
    case.done(case.put(&longest, "1")).await?;
    let too_long = "x".repeat((1 << 20) + 1);
    let refused = case.store.write(&case.put("a", &too_long)).await;
    same(refused.map_err(|e| e.kind()), Err(ErrorKind::InvalidConfig))?;
    let refused = case.store.append(&case.shelf, &[too_long], 10).await;
    same(refused.map_err(|e| e.kind()), Err(ErrorKind::InvalidConfig))?;
    case.is("a", None).await
}

async fn a_journal_is_read_from_both_ends(case: &Case<'_>) -> Outcome {
    let journal = &case.shelf;
    same(case.other.read(journal, None, 10).await?, vec![])?;
    let entries: Vec<String> = (0..10).map(|n| format!("{n}\n")).collect();
    let (first, rest) = entries.split_at(4);
    case.store.append(journal, first, 1000).await?;
    case.store.append(journal, rest, 1000).await?;
    let all = case.other.read(journal, None, 1000).await?;
    let values = |entries: &[crate::fleet::Entry]| -> Vec<String> {
        entries.iter().map(|e| e.value.clone()).collect()
    };
    same(values(&all), entries.clone())?;
    same(all.is_sorted_by_key(|e| e.id), true)?;
    let fourth = all.get(3).map(|e| e.id);
    let after = case.other.read(journal, fourth, 2).await?;
    same(values(&after), vec!["4\n".to_owned(), "5\n".to_owned()])?;
    let back = case.other.read_back(journal, None, 2).await?;
    same(values(&back), vec!["9\n".to_owned(), "8\n".to_owned()])?;
    let back = case.other.read_back(journal, fourth, 10).await?;
    same(
        values(&back),
        ["2\n", "1\n", "0\n"].map(str::to_owned).to_vec(),
    )
}

async fn a_journal_keeps_its_last_entries(case: &Case<'_>) -> Outcome {
    let journal = &case.shelf;
    for n in 0..10 {
        let entries: Vec<String> = (0..100).map(|i| (n * 100 + i).to_string()).collect();
        case.store.append(journal, &entries, 100).await?;
    }
    let all = case.other.read(journal, None, 2_000).await?;
    same((100..=400).contains(&all.len()), true)?;
    same(all.last().map(|e| e.value.as_str()), Some("999"))
}

async fn what_was_written_wakes_others(case: &Case<'_>) -> Outcome {
    let patience = Duration::from_secs(10);
    let late = |_| Breach("nobody was woken".to_owned());
    let seen = tokio::time::timeout(patience, case.other.changed(0))
        .await
        .map_err(late)?;
    case.done(case.put("a", "1")).await?;
    let heard = tokio::time::timeout(patience, case.other.changed(seen)).await;
    same(heard.map_err(late)? != seen, true)
}

async fn what_was_written_quietly_wakes_nobody(case: &Case<'_>) -> Outcome {
    let seen = case.other.changed(0).await;
    case.done(case.put("a", "1").quietly()).await?;
    case.done(case.put("b", "1")).await?;
    let patience = Duration::from_secs(10);
    let heard = tokio::time::timeout(patience, case.other.changed(seen)).await;
    // One for the second; and perhaps one for an earlier case's, which came late.
    let heard = heard.map_err(|_| Breach("nobody was woken".to_owned()))?;
    same((1..=2).contains(&(heard - seen)), true)
}

async fn shelves_do_not_disturb_each_other(case: &Case<'_>) -> Outcome {
    let other = format!("{}.b", case.shelf);
    case.done(case.put("a", "1")).await?;
    case.done(Write::put(&other, "a", "2")).await?;
    case.is("a", Some("1")).await?;
    let listing = case.list(Version::default()).await?;
    same(texts(&listing), vec![("a", "1")])?;
    case.store.append(&other, &["x".to_owned()], 10).await?;
    same(case.other.read(&case.shelf, None, 10).await?, vec![])
}
