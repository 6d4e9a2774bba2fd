//! Makes cargo embed the voice room page anew after `make page` built it, and the API's document as JSON.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// The source of the API's document.
const DOCUMENT: &str = "docs/openapi.yaml";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=src/console/dist");
    println!("cargo:rerun-if-changed={DOCUMENT}");
    println!("cargo:rerun-if-changed=build.rs");
    let document: Value = serde_saphyr::from_str(&fs::read_to_string(DOCUMENT)?)?;
    fs::write(Path::new(&env::var("OUT_DIR")?).join("openapi.json"), format!("{document:#}\n"))?;
    Ok(())
}
