//! The attack suite, on an installation as it should be and on ones that were broken on purpose.

mod attacks;
mod command;
mod drift;
mod failing;
