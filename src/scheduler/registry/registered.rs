//! All of them: which come, change and go.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::error::{Error, ErrorKind, Result};
use crate::scheduler::pool::Pool;
use crate::scheduler::registry::Entry;
use crate::task::TaskName;

/// All registered tasks, in the order of their registration.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) pool: Pool,
    // Held for a look or a change, or to copy the list.
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    entries: BTreeMap<u64, Arc<Entry>>,
    places: HashMap<TaskName, Place>,
    next: u64,
    /// Those taken out of which something goes on still.
    leaving: Vec<Arc<Entry>>,
    /// What the timer has not heard of; `None` as long as there is no timer.
    news: Option<Vec<News>>,
}

/// Where the entries of a task are; of one whose name is only reserved there are none.
#[derive(Debug, Clone, Copy)]
struct Place {
    first: u64,
    count: u64,
}

/// What the timer has to know.
#[derive(Debug)]
pub(crate) enum News {
    Added(Arc<Entry>),
    /// The second has the place of the first now.
    #[cfg(feature = "dynamic")]
    Replaced(Arc<Entry>, Arc<Entry>),
    Removed(Arc<Entry>),
}

impl Inner {
    fn of<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<Entry>> + use<'a> {
        let place = self.places.get(name);
        let place = place.map_or(0..0, |p| p.first..p.first + p.count);
        self.entries.range(place).map(|(_, entry)| entry)
    }

    fn tell(&mut self, news: News) {
        if let Some(untold) = &mut self.news {
            untold.push(news);
        }
    }

    fn add(&mut self, name: &TaskName, entries: Vec<Entry>) {
        let (first, count) = (self.next, entries.len() as u64);
        self.places.insert(name.clone(), Place { first, count });
        self.next += count;
        for (number, entry) in (first..).zip(entries) {
            let entry = Arc::new(entry);
            self.entries.insert(number, entry.clone());
            self.tell(News::Added(entry));
        }
    }

    fn remove(&mut self, name: &str) -> Vec<Arc<Entry>> {
        let removed: Vec<_> = self.of(name).cloned().collect();
        let Some(place) = self.places.remove(name) else {
            return removed;
        };
        for number in place.first..place.first + place.count {
            self.entries.remove(&number);
        }
        for entry in &removed {
            entry.retire();
            self.leaving.push(entry.clone());
            self.tell(News::Removed(entry.clone()));
        }
        removed
    }
}

impl Registry {
    /// Takes the name of a task that is about to be added.
    pub(crate) fn reserve(&self, name: &TaskName) -> Result<()> {
        let mut inner = self.write();
        if inner.places.contains_key(name) {
            let text = format!("task {name} is registered already");
            return Err(Error::new(ErrorKind::DuplicateTask, text));
        }
        let (first, count) = (0, 0);
        inner.places.insert(name.clone(), Place { first, count });
        Ok(())
    }

    /// Adds a task whose name was reserved: from now on the timer sees it.
    pub(crate) fn add(&self, entries: Vec<Entry>) {
        if let Some(name) = entries.first().map(|entry| entry.name.clone()) {
            self.write().add(&name, entries);
        }
    }

    /// Takes a task out that `is_meant`: it fires no more. What goes on of it goes on to its end.
    /// Returns its entries, none if there is no such task.
    pub(crate) fn remove(
        &self,
        name: &str,
        is_meant: impl FnOnce(&Entry) -> bool,
    ) -> Vec<Arc<Entry>> {
        let mut inner = self.write();
        let first = inner.of(name).next().cloned();
        match first.is_some_and(|entry| is_meant(&entry)) {
            true => inner.remove(name),
            false => Vec::new(),
        }
    }

    /// Puts a task in the place of the one that has its name and is defined at run time, or is not, as it
    /// is; that one goes on there. `None` if there is no such one. Returns the entries whose place is gone, as there are other parts now.
    #[cfg(feature = "dynamic")]
    pub(crate) fn replace(&self, mut entries: Vec<Entry>) -> Option<Vec<Arc<Entry>>> {
        let name = entries.first()?.name.clone();
        let mut inner = self.write();
        let old: Vec<_> = inner.of(name.as_str()).cloned().collect();
        if old.first()?.kind.is_some() != entries.first()?.kind.is_some() {
            return None;
        }
        let place = inner.places.get(&name).copied()?;
        if !old
            .iter()
            .map(|e| &e.key)
            .eq(entries.iter().map(|e| &e.key))
        {
            let removed = inner.remove(name.as_str());
            inner.add(&name, entries);
            return Some(removed);
        }
        for (entry, old) in entries.iter_mut().zip(&old) {
            entry.take_slot_of(old);
        }
        for ((number, entry), old) in (place.first..).zip(entries).zip(old) {
            old.retire();
            let entry = Arc::new(entry);
            inner.entries.insert(number, entry.clone());
            inner.tell(News::Replaced(old, entry));
        }
        Some(Vec::new())
    }

    /// The entry that has the place of `entry` now: itself as a rule, none if its task was taken out.
    ///
    /// Cheap as long as nobody was replaced: one look at a flag.
    pub(crate) fn current(&self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        if !entry.is_retired() {
            return Some(entry.clone());
        }
        let inner = self.read();
        let mut entries = inner.of(entry.name.as_str());
        entries.find(|e| e.has_slot_of(entry)).cloned()
    }

    /// Forgets an entry that was taken out, if nothing of it goes on any more. Whether it was the last
    /// of its task, and no other has its name.
    pub(crate) fn forget(&self, entry: &Arc<Entry>) -> bool {
        let mut inner = self.write();
        let is_it = |e: &Arc<Entry>| Arc::ptr_eq(e, entry);
        let Some(place) = inner.leaving.iter().position(is_it) else {
            return false;
        };
        if !entry.slot().is_idle() {
            return false;
        }
        inner.leaving.swap_remove(place);
        let is_last = inner.leaving.iter().all(|e| e.name != entry.name);
        is_last && !inner.places.contains_key(&entry.name)
    }

    /// The kind of a task that is registered: none of one of code.
    #[cfg(feature = "dynamic")]
    pub(crate) fn kind(&self, name: &str) -> Option<Option<Arc<str>>> {
        let inner = self.read();
        let first = inner.of(name).next();
        first.map(|entry| entry.kind.clone())
    }

    pub(crate) fn all(&self) -> Vec<Arc<Entry>> {
        self.read().entries.values().cloned().collect()
    }

    /// The first `most` of them.
    pub(crate) fn first(&self, most: usize) -> Vec<Arc<Entry>> {
        self.read().entries.values().take(most).cloned().collect()
    }

    /// A task, or its parts.
    pub(crate) fn named(&self, name: &TaskName) -> Vec<Arc<Entry>> {
        self.read().of(name.as_str()).cloned().collect()
    }

    /// Those too that were taken out and of which something goes on.
    pub(crate) fn all_at_work(&self) -> Vec<Arc<Entry>> {
        let inner = self.read();
        let all = inner.entries.values().chain(&inner.leaving);
        all.cloned().collect()
    }

    /// How many tasks there are; parts do not count.
    pub(crate) fn len(&self) -> usize {
        self.read().places.len()
    }

    /// All that are registered; what changes from now on is told by [`news`](Self::news).
    pub(crate) fn follow(&self) -> Vec<Arc<Entry>> {
        let mut inner = self.write();
        inner.news = Some(Vec::new());
        inner.entries.values().cloned().collect()
    }

    /// What has changed since the last call, in its order.
    pub(crate) fn news(&self) -> Vec<News> {
        match &mut self.write().news {
            Some(news) => std::mem::take(news),
            None => Vec::new(),
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        // No code that can panic runs while it is held.
        self.inner.write().unwrap_or_else(PoisonError::into_inner)
    }
}
