//! `satmip zoo` and models by name, as a person has them. Servers are of this process, on this machine.
#![cfg(unix)]

#[path = "../fixture/mod.rs"]
mod fixture;
mod program;
#[path = "../../../tests/zoo/server.rs"]
mod server;
#[path = "../../../tests/zoo/site.rs"]
mod site;
mod tls;

use site::{named_files, packed};
