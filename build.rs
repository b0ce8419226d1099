//! Tells cargo what attestry is made of besides its sources.

use std::path::Path;

fn main() {
    // Embedded into the binary.
    println!("cargo:rerun-if-changed=migrations");
    // Read by the query macros. A path that is not there would count as changed at every build.
    if Path::new(".sqlx").exists() {
        println!("cargo:rerun-if-changed=.sqlx");
    }
    // Set by `cargo xtask prepare`, to have every query compiled anew.
    println!("cargo:rerun-if-env-changed=ATTESTRY_PREPARE");
}
