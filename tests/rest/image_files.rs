//! The Dockerfile's COPY lines against what the build reads: what rustc says that it read, and what Cargo.toml names.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const IGNORED: &str = include_str!("../../.dockerignore");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a stage copies: from where (the context, or another stage) to where in its work folder.
fn copies(scripted_channel: &str) -> Vec<(PathBuf, PathBuf)> {
    let body = DOCKERFILE
        .split("\nFROM ")
        .find(|body| body.lines().next().unwrap().ends_with(&format!(" AS {scripted_channel}")))
        .unwrap();
    let mut copies = Vec::new();
    for line in body.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        let (to, sources) = words.split_last().unwrap();
        for source in sources {
            let source = Path::new(source.trim_start_matches("/source/"));
            let into_folder = to.ends_with('/') && !root().join(source).is_dir();
            let target = if into_folder { Path::new(to).join(source.file_name().unwrap()) } else { PathBuf::from(to) };
            copies.push((source.to_owned(), target.strip_prefix("./").map(Path::to_owned).unwrap_or(target)));
        }
    }
    copies
}

/// Whether a file of the repository is at its place in the stage.
fn is_there(file: &Path, copies: &[(PathBuf, PathBuf)]) -> bool {
    copies.iter().any(|(source, target)| {
        file.strip_prefix(source).is_ok_and(|rest| target.join(rest) == file || *target == file)
    })
}

/// The files below the repository that the library was made from, as rustc wrote them down beside the newest one.
fn read_by_the_build() -> BTreeSet<PathBuf> {
    let folder = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let libraries = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap_or_default();
        name.starts_with("libcloud_recorder-") && name.ends_with(".rlib")
    });
    let newest = libraries.max_by_key(|path| path.metadata().unwrap().modified().unwrap()).unwrap();
    let name = newest.file_stem().unwrap().to_str().unwrap().trim_start_matches("lib");
    let list = std::fs::read_to_string(folder.join(name).with_extension("d")).unwrap();
    let made = format!("{}: ", newest.file_name().unwrap().to_str().unwrap());
    let files = list.lines().find_map(|line| line.split_once(&made)).unwrap().1;
    let files = files.split(' ').filter_map(|file| root().join(file).strip_prefix(root()).ok().map(plain));
    // What build.rs made is no source.
    files.filter(|file| !file.starts_with("target")).collect()
}

/// The files that build.rs names as its sources; the page is made in the image.
fn read_by_the_build_script() -> Vec<PathBuf> {
    let script = std::fs::read_to_string(root().join("build.rs")).unwrap();
    let files: Vec<_> = script.split('"').filter(|text| root().join(text).is_file()).map(PathBuf::from).collect();
    assert!(files.contains(&PathBuf::from("docs/openapi.yaml")), "{files:?}");
    files
}

/// Without the way up and down again.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        if part == Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
        plain
    })
}

#[test]
fn every_file_that_the_build_reads_is_copied() {
    let copies = copies("build");
    let mut read = read_by_the_build();
    assert!(read.contains(Path::new("deploy/cloud-recorder.toml")), "included text is among them: {read:?}");
    assert!(read.iter().any(|file| file.starts_with("src/store/migrations")), "and so are migrations");
    read.extend(["Cargo.toml", "Cargo.lock", "build.rs"].map(PathBuf::from));
    read.extend(read_by_the_build_script());
    let manifest: toml::Table = toml::from_str(include_str!("../../Cargo.toml")).unwrap();
    for target in ["bin", "bench", "example", "test"].iter().filter_map(|kind| manifest.get(*kind)) {
        let paths = target.as_array().unwrap().iter().filter_map(|target| target.get("path"));
        read.extend(paths.map(|path| PathBuf::from(path.as_str().unwrap())));
    }
    let members = manifest["workspace"]["members"].as_array().unwrap().iter().map(|member| member.as_str().unwrap());
    read.extend(members.flat_map(|member| ["Cargo.toml", "src/lib.rs"].map(|file| Path::new(member).join(file))));
    let missing: Vec<_> = read.iter().filter(|file| !is_there(file, &copies)).collect();
    assert!(missing.is_empty(), "the Dockerfile does not copy {missing:?}");
}

#[test]
fn what_is_copied_is_in_the_context() {
    let ignored: BTreeSet<&str> = IGNORED.lines().collect();
    let from_context = ["page", "build"].map(copies).concat();
    let made = Path::new("src/console/dist");
    for (source, _) in from_context.iter().filter(|(source, _)| source != made) {
        assert!(root().join(source).exists(), "there is no {}", source.display());
        let hidden = source.ancestors().any(|part| part.to_str().is_some_and(|part| ignored.contains(part)));
        assert!(!hidden, "{} is in .dockerignore", source.display());
    }
}

#[test]
fn no_image_brings_credentials() {
    let last = DOCKERFILE.rsplit("\nFROM ").next().unwrap();
    assert!(!last.contains("/etc/cloud-recorder/cloud-recorder.toml\n"), "a configuration with examples is no default");
    let compose = include_str!("../../deploy/compose.yaml");
    for secret in ["CUSTOMER_SECRET", "LIVEKIT_SECRET", "BUCKET_SECRET"] {
        assert!(compose.contains(&format!("${{{secret}:?")), "{secret} has to be given");
    }
    assert!(!compose.contains("change-me"), "no secret stands here");
}
