//! Every way in which files change while the proxy serves: all at once, a thousand times in a
//! moment, half, by links, away and back. What is in force in the end is what the files say in the
//! end, and nothing in between costs a request.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use ringmain_tests::{
    Io,
    binary::run,
    load::Load,
    mesh::{GATEWAY, Mesh},
    on_both,
    origin::Origin,
    wait, yaml,
};
use serde_json::Value;

on_both!(
    a_thousand_changes_in_a_moment,
    changes_while_a_large_one_is_under_way,
    a_file_that_is_written_slowly,
    a_directory_that_is_swapped_by_a_link,
    a_file_that_goes_away_and_comes_back,
    every_stage_of_a_change_is_shown,
);

fn direct(text: &str) -> String {
    let http =
        format!("- directResponse: {{status: 200, body: {{string: {text}}}}}\n  name: all\n");
    yaml::virtual_service(GATEWAY, &http)
}

/// Two workers, and a route that answers `v0`.
fn mesh(io: Io) -> Mesh {
    Mesh::builder(io)
        .resource("routes", &direct("v0"))
        .tune("workers", "count", "2")
        .start()
}

fn load(mesh: &Mesh) -> Load {
    let load = Load::start(mesh.gateway, 6, "/", |answer| {
        answer.status() == 200 && answer.text().starts_with('v')
    });
    load.wait_for(50);
    load
}

/// `ringmain status`, as JSON.
fn status(mesh: &Mesh) -> Value {
    let socket = mesh.socket();
    let (_, out, error) = run(["status", "-o", "json", "--socket", socket.to_str().unwrap()]);
    serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{error}"))
}

fn path(mesh: &Mesh, file: &str) -> PathBuf {
    mesh.directory().join("mesh").join(file)
}

/// What new clients are answered.
fn answer(mesh: &Mesh) -> String {
    let answer = mesh.client().get("/");
    format!("{} {}", answer.status(), answer.text())
}

fn wait_for_answer(mesh: &Mesh, expected: &str) {
    wait::until_equal("answer", expected.to_owned(), || answer(mesh));
}

/// Lets the clients and the proxy end; no request is missing.
fn finish(mesh: Mesh, load: Load) {
    let report = load.stop();
    assert_eq!(report.failures, Vec::<String>::new());
    assert_eq!(report.closes, 0, "{report:?}");
    mesh.finish();
}

fn resident_kib(pid: &Value) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.trim().parse().unwrap()
}

fn a_thousand_changes_in_a_moment(io: Io) {
    let mesh = mesh(io);
    let load = load(&mesh);
    let adopted = || mesh.proxy.metric("ringmain_snapshots_adopted_total");
    let before = adopted();
    let pid = &status(&mesh)["pid"];
    let resident = resident_kib(pid);
    for version in 1..=1000 {
        mesh.write("routes", &direct(&format!("v{version}")));
    }
    wait_for_answer(&mesh, "200 v1000");
    // Two workers adopt each configuration.
    let changes = (adopted() - before) / 2;
    assert!(changes <= 100, "{changes} configurations for 1000 changes");
    let grown = resident_kib(pid).saturating_sub(resident);
    assert!(
        grown < 32 << 10,
        "the control plane has grown by {grown} KiB"
    );
    let remembered = status(&mesh)["changes"].as_array().unwrap().len();
    assert!(remembered <= 16, "{remembered}");
    finish(mesh, load);
}

/// A file of many routes, none of which a client asks for.
fn bulk(version: u32) -> String {
    let hosts = (0..30).map(|host| {
        let routes: String = (0..20)
            .map(|route| {
                format!(
                    "  - match: [{{uri: {{prefix: /route-{route}/}}}}]\n    \
                     directResponse: {{status: 200, body: {{string: v{version}}}}}\n"
                )
            })
            .collect();
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
             metadata: {{name: bulk-{host}}}\nspec:\n  hosts: [bulk-{host}.test]\n  \
             gateways: [{GATEWAY}]\n  http:\n{routes}"
        )
    });
    hosts.collect()
}

fn changes_while_a_large_one_is_under_way(io: Io) {
    let mesh = mesh(io);
    let load = load(&mesh);
    for version in 1..=8 {
        mesh.write("bulk", &bulk(version));
        // The large file is noticed, settles, is read, checked or sent by now.
        for step in 0..version {
            mesh.write("routes", &direct(&format!("v{version}-{step}")));
            load.wait_for(20);
        }
    }
    wait_for_answer(&mesh, "200 v8-7");
    let request = "GET /route-19/x HTTP/1.1\r\nhost: bulk-29.test\r\n\r\n";
    wait::until_equal("answer of the large file", "v8".to_owned(), || {
        mesh.client().exchange(request).text()
    });
    finish(mesh, load);
}

/// In place, which is how not to do it.
fn a_file_that_is_written_slowly(io: Io) {
    let mesh = mesh(io);
    let load = load(&mesh);
    // Once a change was seen, the directory is watched and writers are known.
    let before = mesh.proxy.generation();
    mesh.write("routes", &direct("v1"));
    mesh.proxy.wait_for_generation_after(before);
    let text = direct("v2");
    let mut writer = File::create(path(&mesh, "routes.yaml")).unwrap();
    for (index, piece) in text.as_bytes().chunks(text.len() / 4 + 1).enumerate() {
        writer.write_all(piece).unwrap();
        // Another file is read meanwhile, and is in force before this one is complete.
        let before = mesh.proxy.generation();
        let host = format!("other-{index}.test");
        let other = direct("other")
            .replace("hosts: [\"*\"]", &format!("hosts: [{host}]"))
            .replace("metadata: {name: ", "metadata: {name: other-");
        mesh.write("other", &other);
        mesh.proxy.wait_for_generation_after(before);
        assert_eq!(answer(&mesh), "200 v1");
    }
    drop(writer);
    wait_for_answer(&mesh, "200 v2");
    finish(mesh, load);
}

/// What a ConfigMap's volume looks like: `routes.yaml -> ..data/routes.yaml`, `..data -> ..v1`.
fn swap(directory: &Path, version: u32, files: &[(&str, String)]) {
    let name = format!("..v{version}");
    fs::create_dir(directory.join(&name)).unwrap();
    for (file, text) in files {
        fs::write(directory.join(&name).join(file), text).unwrap();
    }
    symlink(&name, directory.join("..data_tmp")).unwrap();
    fs::rename(directory.join("..data_tmp"), directory.join("..data")).unwrap();
    if version > 1 {
        fs::remove_dir_all(directory.join(format!("..v{}", version - 1))).unwrap();
    }
}

fn a_directory_that_is_swapped_by_a_link(io: Io) {
    let mesh = mesh(io);
    let load = load(&mesh);
    let directory = path(&mesh, "");
    let origin = Origin::saying("v-origin");
    let (routes, service) = ("routes.yaml", "service.yaml");
    for version in 1..=6 {
        // Now through the service, which is there then only, now without it.
        let files = match version % 2 {
            0 => [
                (
                    routes,
                    yaml::virtual_service(GATEWAY, &yaml::all_to("s.test")),
                ),
                (service, yaml::service("s", &[origin.address()])),
            ],
            _ => [
                (routes, direct(&format!("v{version}"))),
                (service, "# nothing\n".to_owned()),
            ],
        };
        swap(&directory, version, &files);
        if version == 1 {
            for file in [service, routes] {
                let link = directory.join(format!("{file}.link"));
                symlink(format!("..data/{file}"), &link).unwrap();
                fs::rename(link, directory.join(file)).unwrap();
            }
        }
        match version % 2 {
            0 => wait_for_answer(&mesh, "200 v-origin"),
            _ => wait_for_answer(&mesh, &format!("200 v{version}")),
        }
        load.wait_for(20);
    }
    finish(mesh, load);
}

fn a_file_that_goes_away_and_comes_back(io: Io) {
    let mesh = mesh(io);
    let routes = path(&mesh, "routes.yaml");
    for version in 1..=4 {
        fs::remove_file(&routes).unwrap();
        wait::until_equal("status", 404, || mesh.client().get("/").status());
        fs::write(&routes, direct(&format!("v{version}"))).unwrap();
        wait_for_answer(&mesh, &format!("200 v{version}"));
    }
    // At once: whatever was seen in between, what there is in the end counts.
    for version in 5..=20 {
        fs::remove_file(&routes).unwrap();
        fs::write(&routes, direct(&format!("v{version}"))).unwrap();
    }
    wait_for_answer(&mesh, "200 v20");
    mesh.finish();
}

fn every_stage_of_a_change_is_shown(io: Io) {
    let mesh = mesh(io);
    let applied = || mesh.proxy.metric("ringmain_configurations_applied_total");
    let before = applied();
    let generation = mesh.proxy.generation();
    mesh.write("routes", &direct("v1"));
    mesh.proxy.wait_for_generation_after(generation);
    assert_eq!(applied(), before + 1);
    let change = wait::until("a change that is used", || {
        let change = status(&mesh)["changes"][0].clone();
        match change["waiting"] == 0 && change["cause"] == "files" {
            true => Ok(change),
            false => Err(change),
        }
    });
    assert_eq!(change["proxies"], 1, "{change}");
    assert_eq!(change["slowest"], format!("default/{GATEWAY}"), "{change}");
    let stages = change["stages"].as_array().unwrap();
    let names: Vec<_> = stages.iter().map(|stage| stage["name"].as_str()).collect();
    for stage in [
        "settle", "read", "parse", "check", "target", "send", "apply",
    ] {
        assert!(names.contains(&Some(stage)), "{stage} in {change}");
    }
    let (_, text, _) = run(["status", "--socket", mesh.socket().to_str().unwrap()]);
    let said = "last change: of files, ";
    assert!(text.contains(said), "{text}");
    let stages = &mesh.proxy.info()["stages"];
    for stage in ["receive", "decode", "merge", "compile", "adopt"] {
        assert!(stages[stage].is_string(), "{stage} in {stages}");
    }
    mesh.finish();
}
