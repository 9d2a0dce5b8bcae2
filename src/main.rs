//! The binary: it hands over to the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    greenroom::cli::main()
}
