//! The page: five screens, rendered here, complete without a script.
#![allow(dead_code)]
mod assets;
mod frame;
mod plot;
mod words;
