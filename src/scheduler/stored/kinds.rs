//! The kinds of work that code has registered here.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, ErrorKind, Result};
use crate::scheduler::KindSnapshot;
use crate::store::{AnyKind, StoredTask, check_kind};

/// All kinds, by their names.
#[derive(Debug, Default)]
pub(crate) struct Kinds {
    // Held for a look or an insertion.
    inner: RwLock<BTreeMap<Arc<str>, Arc<dyn AnyKind>>>,
}

impl Kinds {
    pub(crate) fn add(&self, name: &str, kind: Arc<dyn AnyKind>) -> Result<()> {
        check_kind(name)?;
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if inner.contains_key(name) {
            let text = format!("the kind {name} is registered already");
            return Err(Error::new(ErrorKind::InvalidConfig, text));
        }
        inner.insert(name.into(), kind);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn AnyKind>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.get(name).cloned()
    }

    /// Says what is wrong with a task's parameters, if its kind is known.
    pub(crate) fn check_parameters(&self, task: &StoredTask) -> Result<()> {
        match self.get(&task.kind) {
            Some(kind) => kind.check(&task.parameters),
            None => Ok(()),
        }
    }

    pub(crate) fn all(&self) -> Vec<KindSnapshot> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let kinds = inner.iter().map(|(name, kind)| KindSnapshot {
            name: name.clone(),
            schema: kind.schema().to_value(),
        });
        kinds.collect()
    }
}
