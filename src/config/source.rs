//! Where a secret comes from.

use std::fmt;
use std::path::PathBuf;

use crate::kinds::secret_file;

/// A secret, or where it is. Prints no secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum SecretFrom {
    /// It stands in the file itself.
    Here(String),
    /// A file says it.
    File(PathBuf),
    /// A variable of the environment says it.
    Environment(String),
}

impl SecretFrom {
    /// The secret, or why it cannot be had.
    pub(crate) fn read(&self) -> Result<String, String> {
        match self {
            SecretFrom::Here(text) => Ok(text.clone()),
            SecretFrom::File(path) => Ok(secret_file::value(path)?.trim().to_owned()),
            SecretFrom::Environment(name) => match std::env::var(name) {
                Ok(value) if !value.is_empty() => Ok(value),
                _ => Err(format!("the environment's {name:?} is not set")),
            },
        }
    }
}

impl fmt::Debug for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretFrom::Here(_) => f.write_str("Here(•••)"),
            SecretFrom::File(path) => write!(f, "File({})", path.display()),
            SecretFrom::Environment(name) => write!(f, "Environment({name:?})"),
        }
    }
}
