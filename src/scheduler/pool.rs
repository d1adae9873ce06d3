//! Values that many tasks have in common, each kept once.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Gives equal values the same place. What it has given out it keeps: tasks are never taken out of a
/// scheduler.
pub(crate) struct Pool<T: ?Sized> {
    // Held to look one value up, or to add one.
    values: Mutex<HashSet<Arc<T>>>,
}

impl<T: ?Sized + Eq + Hash> Pool<T> {
    /// The shared value that equals `value`.
    pub(crate) fn share<V>(&self, value: V) -> Arc<T>
    where
        V: Borrow<T> + Into<Arc<T>>,
    {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = values.get(value.borrow()) {
            return known.clone();
        }
        let value: Arc<T> = value.into();
        values.insert(value.clone());
        value
    }
}

impl<T: ?Sized> Default for Pool<T> {
    fn default() -> Self {
        Self {
            values: Mutex::default(),
        }
    }
}

impl<T: ?Sized> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_place_and_others_another() {
        let pool = Pool::<str>::default();
        let first = pool.share("@daily");
        assert!(Arc::ptr_eq(&first, &pool.share("@daily")));
        assert_eq!(&*pool.share("@hourly"), "@hourly");
    }
}
