//! A store of what a fleet shares that goes away, and may come back as another one.

use std::sync::{Arc, Mutex};

use tasklock::{
    Entry, EntryId, Error, ErrorKind, FleetStore, Listing, MemoryFleet, Record, Result, Version,
    Write, Written, async_trait,
};

#[derive(Debug, Clone)]
pub struct SwitchedFleet {
    store: Arc<Mutex<Option<MemoryFleet>>>,
}

impl SwitchedFleet {
    pub fn away() -> Self {
        Self {
            store: Arc::default(),
        }
    }

    pub fn set(&self, store: Option<MemoryFleet>) {
        *self.store.lock().unwrap() = store;
    }

    fn store(&self) -> Result<MemoryFleet> {
        let store = self.store.lock().unwrap().clone();
        store.ok_or_else(|| Error::new(ErrorKind::StoreUnavailable, "the store is away"))
    }
}

#[async_trait]
impl FleetStore for SwitchedFleet {
    async fn write(&self, write: &Write) -> Result<Written> {
        self.store()?.write(write).await
    }

    async fn get(&self, shelf: &str, key: &str) -> Result<Option<Record>> {
        self.store()?.get(shelf, key).await
    }

    async fn list(&self, shelf: &str, since: Version) -> Result<Listing> {
        self.store()?.list(shelf, since).await
    }

    async fn append(&self, journal: &str, entries: &[String], keep: usize) -> Result<()> {
        self.store()?.append(journal, entries, keep).await
    }

    async fn read(
        &self,
        journal: &str,
        after: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        self.store()?.read(journal, after, limit).await
    }

    async fn read_back(
        &self,
        journal: &str,
        before: Option<EntryId>,
        limit: usize,
    ) -> Result<Vec<Entry>> {
        self.store()?.read_back(journal, before, limit).await
    }

    async fn changed(&self, _seen: u64) -> u64 {
        // Who hears of nothing has to reread.
        std::future::pending().await
    }
}
