//! The program `satmip`. All of it is in the library, which the Python package runs as well.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(satmip_cli::run(std::env::args_os()))
}
