//! The program; everything is in [`satmip::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    satmip::cli::main()
}
