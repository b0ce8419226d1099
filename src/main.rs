//! The `attestry` program: reads the command line and the configuration, and wires the rooms together.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
