//! The program `satmip`. All of it is in the library, which the Python package runs as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    give_memory_back();
    ExitCode::from(satmip_cli::run(std::env::args_os()))
}

/// Asks glibc to give blocks of a MiB or more (our choice) back to the system when they are free. By itself it raises that
/// limit with each such block, up to 32 MiB, and keeps what loading a model needed for as long as the program runs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_memory_back() {
    // SAFETY: it takes any two numbers, and no other thread is there yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_memory_back() {}
