//! Makes cargo embed the voice room page anew after `make page` built it.

fn main() {
    println!("cargo:rerun-if-changed=src/console/dist");
}
