use super::*;
use crate::models::testing::{one_model, zip_file};

fn package() -> Vec<u8> {
    zip_file(&[("a/one.bin", b"abc"), ("a/readme", b"")])
}

/// A library of the model `one` whose package lies in the store, as after an interrupted fetch.
fn library(directory: &Path, package: &[u8]) -> Library {
    let store = directory.join(PACKAGES);
    fs::create_dir_all(&store).expect("created");
    fs::write(store.join("a.zip"), package).expect("written");
    Library::with_manifest(directory.to_owned(), Manifest { models: vec![one_model(package)] })
}

#[test]
fn what_is_missing_is_named_with_the_command_that_fetches_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    let fault = library.path("one", "one.bin").expect_err("absent").to_string();
    for word in ["`one`", "Model One", "one.bin", "duologue models fetch one"] {
        assert!(fault.contains(word), "{fault}");
    }
    assert!(matches!(library.presence(&library.manifest.models[0]), Presence::Absent));
}

#[test]
fn packages_kept_from_an_interrupted_fetch_are_used() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    let fetched = library.fetch(&["one", "one"]).expect("assembled");
    assert_eq!(fetched.models, ["one"]);
    let path = library.path("one", "one.bin").expect("there");
    assert_eq!(fs::read(path).expect("readable"), b"abc");
    assert!(!directory.path().join(PACKAGES).exists(), "the packages are cleared away");
    assert!(library.verify(&["one"]).is_ok());
}

#[test]
fn packages_of_another_unfinished_model_are_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    let other = directory.path().join(PACKAGES).join("part7.zip");
    fs::write(&other, "whole").expect("written");
    library.fetch(&["one"]).expect("assembled");
    assert!(other.exists());
}

#[test]
fn a_second_fetch_finds_everything_in_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    library.fetch(&["one"]).expect("assembled");
    assert_eq!(library.fetch(&["one"]).expect("nothing to do"), Fetched::default());
}

#[test]
fn a_truncated_model_file_is_named_with_both_sizes() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    library.fetch(&["one"]).expect("assembled");
    fs::write(directory.path().join("one.bin"), "ab").expect("cut");
    let fault = library.path("one", "one.bin").expect_err("cut").to_string();
    assert!(fault.contains("one.bin is truncated") && fault.contains("2 bytes instead of 3"), "{fault}");
    assert!(matches!(library.presence(&library.manifest.models[0]), Presence::Incomplete(_)));
}

#[test]
fn an_altered_file_of_the_right_size_is_found_by_verify_and_made_again_by_fetch() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    library.fetch(&["one"]).expect("assembled");
    fs::write(directory.path().join("one.bin"), "abx").expect("altered");
    let faults = library.verify(&["one"]).expect_err("altered");
    assert!(matches!(faults.as_slice(), [ModelError::WrongDigest { .. }]), "{faults:?}");

    let again = self::library(directory.path(), &package());
    assert_eq!(again.fetch(&["one"]).expect("assembled").models, ["one"]);
    assert!(again.verify(&["one"]).is_ok());
}

#[test]
fn a_package_that_makes_another_file_than_listed_installs_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &zip_file(&[("a/one.bin", b"abd")]));
    let fault = library.fetch(&["one"]).expect_err("refused").to_string();
    assert!(fault.contains("one.bin was refused"), "{fault}");
    assert!(!directory.path().join("one.bin").exists());
    assert!(!directory.path().join("one.bin.part").exists());
}

#[test]
fn a_package_without_the_listed_member_is_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &zip_file(&[("a/other.bin", b"abc")]));
    let fault = library.fetch(&["one"]).expect_err("refused").to_string();
    assert!(fault.contains("a.zip holds no `a/one.bin`"), "{fault}");
}

#[test]
fn a_file_put_there_by_hand_needs_no_fetch() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    fs::write(directory.path().join("one.bin"), "abc").expect("written");
    assert_eq!(library.fetch(&["one"]).expect("nothing to do"), Fetched::default());
}

#[test]
fn the_table_shows_what_is_here() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    let row = |library: &Library| {
        let table = crate::models::cli::list(library);
        table.lines().find(|line| line.starts_with("one ")).map(str::to_owned).expect("a row")
    };
    assert!(row(&library).contains(" no ") && row(&library).contains("MIT"));
    library.fetch(&["one"]).expect("assembled");
    assert!(row(&library).contains(" yes "));
}

#[tokio::test]
async fn a_users_own_model_is_a_path_that_exists() {
    let directory = tempfile::tempdir().expect("a directory");
    let library = library(directory.path(), &package());
    let own = directory.path().join("mine.gguf");
    let place = own.to_str().expect("UTF-8");
    let fault = library.own(place, None).await.expect_err("missing").to_string();
    assert!(fault.contains("mine.gguf"), "{fault}");
    fs::write(&own, "model").expect("written");
    assert_eq!(library.own(place, None).await.expect("there"), own);
}
