//! Files that change under a running control plane.

mod harness;

use std::{fs, io::Write, os::unix::fs::symlink, path::Path};

use harness::{Plane, Proxy, node};
use ringmain_controlplane::{
    Options, Running,
    source::{FileState, load},
    status::{Status, Sync},
};

fn gateway(name: &str, port: u16) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: {name}}}
spec:
  selector: {{istio: edge}}
  servers:
  - {{port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ['*']}}
"
    )
}

async fn edge(plane: &Plane) -> Proxy {
    let mut proxy = Proxy::new(node("edge", &[("istio", "edge")]));
    proxy.connect(plane).await;
    proxy.take().await;
    proxy
}

/// Ports of the listeners that the proxy holds.
fn ports(proxy: &Proxy) -> Vec<u16> {
    let listeners = proxy.held.listeners.values();
    listeners.map(|part| part.value.address.port()).collect()
}

fn state(status: &Status, name: &str) -> Option<FileState> {
    let mut files = status.source.files.iter();
    let file = files.find(|file| file.file.ends_with(name))?;
    Some(file.state)
}

async fn until_state(plane: &Plane, name: &str, expected: Option<FileState>) -> Status {
    let what = format!("{name} {expected:?}");
    plane
        .until(&what, |status| state(status, name) == expected)
        .await
}

#[tokio::test]
async fn files_come_change_and_go() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    assert_eq!(ports(&edge), [8001]);
    fs::create_dir(plane.path("below")).expect("created");
    plane.write("below/b.yml", &gateway("b", 8002));
    edge.take().await;
    assert_eq!(ports(&edge), [8001, 8002]);
    plane.write("a.yaml", &gateway("a", 8003));
    edge.take().await;
    assert_eq!(ports(&edge), [8002, 8003]);
    plane.remove("a.yaml");
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
    assert_eq!(state(&plane.status().await, "a.yaml"), None);
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_state_until_it_is_mended() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    let whole = gateway("a", 8002);
    for broken in [
        &whole[..whole.len() / 2],
        "]",
        "",
        "kind: Gateway\napiVersion: networking.istio.io/v1\nmetadata: {name: a}\nspec: {serverz: \
         []}\n",
    ] {
        plane.write("a.yaml", broken);
        let status = until_state(&plane, "a.yaml", Some(FileState::LastGood)).await;
        let file = &status.source.files[0];
        assert!(!file.problems.is_empty(), "{broken:?}");
        assert_eq!(file.resources, 1, "{broken:?}");
        let target = plane.document("edge").await;
        assert_eq!(target.versions(), edge.held.versions(), "{broken:?}");
        plane.write("a.yaml", &gateway("a", 8001));
        until_state(&plane, "a.yaml", Some(FileState::InForce)).await;
    }
    plane.write("a.yaml", &whole);
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
}

/// A new file may be seen before anything is in it.
#[tokio::test]
async fn a_file_that_said_nothing_is_refused_when_it_breaks() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001)), ("b.yaml", "")]).await;
    until_state(&plane, "b.yaml", Some(FileState::InForce)).await;
    plane.write("b.yaml", "kind: [");
    until_state(&plane, "b.yaml", Some(FileState::Refused)).await;
}

#[tokio::test]
async fn a_new_file_that_is_broken_harms_no_other() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    plane.write("b.yaml", "kind: [");
    until_state(&plane, "b.yaml", Some(FileState::Refused)).await;
    plane.write("a.yaml", &gateway("a", 8002));
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
    plane.write("b.yaml", &gateway("b", 8003));
    edge.take().await;
    assert_eq!(ports(&edge), [8002, 8003]);
}

#[tokio::test]
async fn files_that_do_not_fit_together_are_not_published() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    plane.write("b.yaml", &gateway("a", 8002));
    let status = plane
        .until("refused", |status| !status.source.refused.is_empty())
        .await;
    let problem = status.source.refused[0].to_string();
    assert!(problem.contains("there is already one"), "{problem}");
    // New proxies are given the last good state, too.
    let mut late = Proxy::new(node("late", &[("istio", "edge")]));
    late.connect(&plane).await;
    late.take().await;
    assert_eq!(ports(&late), [8001]);

    plane.write("b.yaml", &gateway("b", 8002));
    edge.take().await;
    assert_eq!(ports(&edge), [8001, 8002]);
    assert_eq!(plane.status().await.source.refused, []);
}

#[tokio::test]
async fn a_config_map_is_swapped_by_its_links() {
    let plane = Plane::start(&[]).await;
    for (version, port) in [("..v1", 8001), ("..v2", 8002)] {
        fs::create_dir(plane.path(version)).expect("created");
        plane.write(&format!("{version}/a.yaml"), &gateway("a", port));
    }
    symlink("..v1", plane.path("..data")).expect("linked");
    symlink("..data/a.yaml", plane.path("a.yaml")).expect("linked");
    until_state(&plane, "a.yaml", Some(FileState::InForce)).await;
    let mut edge = edge(&plane).await;
    assert_eq!(ports(&edge), [8001]);
    symlink("..v2", plane.path("..data_tmp")).expect("linked");
    fs::rename(plane.path("..data_tmp"), plane.path("..data")).expect("renamed");
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
}

#[tokio::test]
async fn a_link_that_leads_nowhere_is_no_removal() {
    let plane = Plane::start(&[]).await;
    let outside = plane.directory.path().join("outside.yaml");
    fs::write(&outside, gateway("a", 8001)).expect("written");
    symlink(&outside, plane.path("a.yaml")).expect("linked");
    until_state(&plane, "a.yaml", Some(FileState::InForce)).await;
    let edge = edge(&plane).await;
    fs::remove_file(&outside).expect("removed");
    // inotify sees nothing of what is outside; touching something makes it look.
    plane.write("b.yaml", "# nothing");
    until_state(&plane, "a.yaml", Some(FileState::LastGood)).await;
    let target = plane.document("edge").await;
    assert_eq!(target.versions(), edge.held.versions());
}

#[tokio::test]
async fn other_files_are_passed_over() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    plane.write(".hidden.yaml", "]");
    plane.write("a.yaml~", "]");
    plane.write("notes.txt", "]");
    plane.write("b.yaml", &gateway("b", 8002));
    let status = until_state(&plane, "b.yaml", Some(FileState::InForce)).await;
    assert_eq!(status.source.files.len(), 2);
}

#[tokio::test]
async fn it_does_not_start_with_what_cannot_be_used() {
    let (first, second) = (gateway("a", 8001), gateway("a", 8002));
    let broken = [("a.yaml", "]"), ("b.yaml", "kind: Gateway\n")];
    let duplicate = [("a.yaml", first.as_str()), ("b.yaml", second.as_str())];
    let absent = [("absent/a.yaml", "")];
    for (files, expected) in [
        (&broken[..], &["a.yaml:1", "b.yaml:1"][..]),
        (
            &duplicate,
            &["b.yaml:2", "there is already one", "a.yaml:2"],
        ),
        (&absent, &["cannot be read", "name the directory"]),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let mut resources = directory.path().to_owned();
        for (name, text) in files {
            if fs::write(directory.path().join(name), text).is_err() {
                resources = directory.path().join("absent");
            }
        }
        let options = Options {
            resources,
            socket: directory.path().join("control.sock"),
            ..Options::default()
        };
        let error = Running::start(options).await.err().expect("refused");
        for expected in expected {
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        }
        assert!(!directory.path().join("control.sock").exists());
    }
}

#[tokio::test]
async fn a_directory_that_is_away_takes_nothing_back() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let edge = edge(&plane).await;
    let aside = plane.directory.path().join("aside");
    fs::rename(plane.resources(), &aside).expect("renamed");
    plane
        .until("it is missed", |status| !status.source.problems.is_empty())
        .await;
    let target = plane.document("edge").await;
    assert_eq!(target.versions(), edge.held.versions());
    fs::rename(&aside, plane.resources()).expect("renamed");
    plane
        .until("it is back", |status| status.source.problems.is_empty())
        .await;
    plane.until_proxy("edge", Sync::InSync).await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_followed() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    let release = |name: &str| plane.directory.path().join(name);
    for (name, port) in [("r2", 8002), ("r3", 8003)] {
        fs::create_dir(release(name)).expect("created");
        fs::write(release(name).join("a.yaml"), gateway("a", port)).expect("written");
    }
    fs::rename(plane.resources(), release("r1")).expect("renamed");
    symlink("r2", plane.resources()).expect("linked");
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
    symlink("r3", release("next")).expect("linked");
    fs::rename(release("next"), plane.resources()).expect("renamed");
    edge.take().await;
    assert_eq!(ports(&edge), [8003]);
    // The new one is watched, not the old one.
    plane.write("a.yaml", &gateway("a", 8004));
    edge.take().await;
    assert_eq!(ports(&edge), [8004]);
}

/// To open a pipe would wait for its writer, for ever and with every other file.
#[tokio::test]
async fn what_is_no_file_is_named_and_keeps_nobody_waiting() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8001))]).await;
    let mut edge = edge(&plane).await;
    let pipe = plane.path("pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("coreutils are there").success());
    let status = until_state(&plane, "pipe.yaml", Some(FileState::Refused)).await;
    let problem = status.source.files[1].problems[0].to_string();
    let expected = "pipe.yaml: error: file: cannot be read: it is not a regular file";
    assert!(problem.ends_with(expected), "{problem}");
    plane.write("a.yaml", &gateway("a", 8002));
    edge.take().await;
    assert_eq!(ports(&edge), [8002]);
}

#[test]
fn what_cannot_be_read_at_all() {
    for (path, expected) in [
        (
            "/nowhere",
            "/nowhere: error: file: cannot be read: No such file or directory (os error 2); name \
             the directory of your resources, or a file of them",
        ),
        (
            "/dev/null",
            "/dev/null: error: file: cannot be read: it is not a regular file",
        ),
    ] {
        let problems: Vec<_> = match load(Path::new(path)) {
            Ok(reading) => reading.problems().cloned().collect(),
            Err(problem) => vec![problem],
        };
        let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [expected]);
    }
}

/// Cut between two documents, each half of a file is sound.
#[tokio::test]
async fn half_a_file_is_not_read_while_its_writer_goes_on() {
    let plane = Plane::start(&[("a.yaml", &gateway("a", 8000))]).await;
    let mut edge = edge(&plane).await;
    // Once a change was seen the directory is watched; before that, writers are not known.
    plane.write("a.yaml", &gateway("a", 8001));
    edge.take().await;
    let mut writer = fs::File::create(plane.path("a.yaml")).expect("opened");
    writer
        .write_all(gateway("a", 8002).as_bytes())
        .expect("written");
    // What is known of the first half is known by the time that a later change is in force.
    plane.write("b.yaml", &gateway("b", 8003));
    edge.take().await;
    assert_eq!(ports(&edge), [8001, 8003]);
    let rest = format!("---{}", gateway("c", 8004));
    writer.write_all(rest.as_bytes()).expect("written");
    drop(writer);
    edge.take().await;
    assert_eq!(ports(&edge), [8002, 8003, 8004]);
}
