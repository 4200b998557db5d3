//! The program `satmip`. All of it is in the library, which the Python package runs as well.

use std::process::ExitCode;

use satmip::engine::Device;

fn main() -> ExitCode {
    // What loading a model needs is free again when it is open: a MiB is a block of weights (our choice).
    map_from(1 << 20);
    satmip_cli::when_open(|device| {
        if device == Device::Rten {
            // Its blocks of a batch are larger than that, and are asked for anew with each batch.
            map_from(MOST);
        }
    });
    ExitCode::from(satmip_cli::run(std::env::args_os()))
}

/// The largest block that glibc can be told not to map by itself on 64 bits: 32 MiB.
const MOST: i32 = 32 << 20;

/// Asks glibc to map blocks of so many bytes or more by themselves, which go back to the system when they are free, and to
/// keep twice as much of what else is free where that is the most. By itself it raises that limit with each such block that
/// is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn map_from(bytes: i32) {
    // SAFETY: they take any two numbers, and lock what they change.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
        if bytes == MOST {
            libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * bytes);
        }
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn map_from(_bytes: i32) {}
