//! Links libsonic, which espeak-ng's build finds on the system but espeak-rs-sys never passes to the linker.

fn main() {
    println!("cargo:rustc-link-arg=-l:libsonic.a");
    println!("cargo:rerun-if-changed=build.rs");
    // The migrations are built into the binary; a new file alone would not be noticed.
    println!("cargo:rerun-if-changed=migrations");
}
