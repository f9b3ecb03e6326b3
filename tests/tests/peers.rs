//! curl as client and nginx as origin: neither is ours.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

use std::path::Path;

use ringmain_tests::{
    Io,
    curl::{Output, curl},
    mesh::Mesh,
    nginx::Nginx,
    noise::noise,
    on_both,
};

on_both!(
    get,
    head,
    missing_file,
    post,
    put_and_delete,
    upload_in_chunks,
    upload_after_continue,
    refused_instead_of_continue,
    ten_megabytes_down,
    ten_megabytes_up,
    answer_in_chunks,
    not_modified,
    ranges,
    connections_are_reused,
    http10_client,
    many_at_once,
);

const TEN_MEGABYTES: usize = 10_000_000;

fn mesh(io: Io, nginx: &Nginx) -> Mesh {
    Mesh::builder(io)
        .all_to("files", &[nginx.address()])
        .start()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// curl is content, and this is what it printed.
fn check(output: &Output, expected: &str) {
    assert_eq!(output.code, 0, "{}", output.error);
    assert_eq!(output.text(), expected, "{}", output.error);
}

fn get(io: Io) {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("hello"), "hello, world\n").unwrap();
    let mesh = mesh(io, &nginx);
    check(&curl([mesh.url("/hello")]), "hello, world\n");
    let line = mesh.finish_one();
    assert_eq!(line.verdict(), "200 -");
    assert_eq!(line.number("bytes_sent"), 13);
}

fn head(io: Io) {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("hello"), "hello, world\n").unwrap();
    let mesh = mesh(io, &nginx);
    let output = curl(["--head", &mesh.url("/hello")]);
    assert_eq!(output.code, 0, "{}", output.error);
    let text = output.text().to_ascii_lowercase();
    assert!(text.starts_with("http/1.1 200 "), "{text}");
    assert!(text.contains("\r\ncontent-length: 13\r\n"), "{text}");
    assert_eq!(mesh.finish_one().number("bytes_sent"), 0);
}

fn missing_file(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let output = curl([
        "--output",
        "/dev/null",
        "-w",
        "%{http_code}",
        &mesh.url("/none"),
    ]);
    check(&output, "404");
    let line = mesh.finish_one();
    assert_eq!(line.get("response_code_details"), "via_upstream");
}

fn post(io: Io) {
    let nginx = Nginx::start("location /form { return 200 \"$request_method $content_length\"; }");
    let mesh = mesh(io, &nginx);
    check(&curl(["--data", "a=b&c=d", &mesh.url("/form")]), "POST 7");
    assert_eq!(mesh.finish_one().number("bytes_received"), 7);
}

fn put_and_delete(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let url = mesh.url("/file");
    check(
        &curl(["-X", "PUT", "--data", "written", "-w", "%{http_code}", &url]),
        "201",
    );
    assert_eq!(std::fs::read(nginx.file("file")).unwrap(), b"written");
    check(&curl(["-X", "DELETE", "-w", "%{http_code}", &url]), "204");
    assert!(!nginx.file("file").exists());
    let verdicts: Vec<_> = mesh.finish().iter().map(|line| line.verdict()).collect();
    assert_eq!(verdicts, ["201 -", "204 -"]);
}

fn upload_in_chunks(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let bytes = noise(300_000);
    let file = mesh.directory().join("upload");
    std::fs::write(&file, &bytes).unwrap();
    let output = curl([
        "-H",
        "Transfer-Encoding: chunked",
        "-H",
        "Expect:",
        "-T",
        path(&file),
        "-w",
        "%{http_code}",
        &mesh.url("/file"),
    ]);
    check(&output, "201");
    assert!(std::fs::read(nginx.file("file")).unwrap() == bytes);
    assert_eq!(mesh.finish_one().number("bytes_received"), 300_000);
}

/// curl asks by itself above a megabyte; here it waits half a minute for the answer, longer than it
/// may run at all.
fn upload_after_continue(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let bytes = noise(100_000);
    let file = mesh.directory().join("upload");
    std::fs::write(&file, &bytes).unwrap();
    let output = curl([
        "--expect100-timeout",
        "30",
        "-H",
        "Expect: 100-continue",
        "-T",
        path(&file),
        "-w",
        "%{http_code}",
        &mesh.url("/file"),
    ]);
    check(&output, "201");
    assert!(std::fs::read(nginx.file("file")).unwrap() == bytes);
    mesh.finish_one();
}

fn refused_instead_of_continue(io: Io) {
    let nginx = Nginx::start("location /full { return 507; }");
    let mesh = mesh(io, &nginx);
    let file = mesh.directory().join("upload");
    std::fs::write(&file, noise(100_000)).unwrap();
    let output = curl([
        "--expect100-timeout",
        "30",
        "-H",
        "Expect: 100-continue",
        "-T",
        path(&file),
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_upload}",
        &mesh.url("/full"),
    ]);
    check(&output, "507 0");
    assert_eq!(mesh.finish_one().verdict(), "507 -");
}

fn ten_megabytes_down(io: Io) {
    let nginx = Nginx::start("");
    let bytes = noise(TEN_MEGABYTES);
    std::fs::write(nginx.file("large"), &bytes).unwrap();
    let mesh = mesh(io, &nginx);
    let output = curl([mesh.url("/large")]);
    assert_eq!(output.code, 0, "{}", output.error);
    assert!(output.out == bytes);
    assert_eq!(mesh.finish_one().number("bytes_sent"), TEN_MEGABYTES as u64);
}

fn ten_megabytes_up(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let bytes = noise(TEN_MEGABYTES);
    let file = mesh.directory().join("upload");
    std::fs::write(&file, &bytes).unwrap();
    let output = curl(["-T", path(&file), "-w", "%{http_code}", &mesh.url("/large")]);
    check(&output, "201");
    assert!(std::fs::read(nginx.file("large")).unwrap() == bytes);
    assert_eq!(
        mesh.finish_one().number("bytes_received"),
        TEN_MEGABYTES as u64
    );
}

/// What nginx compresses on the fly has no length.
fn answer_in_chunks(io: Io) {
    let nginx = Nginx::start("location /text { gzip on; gzip_types *; gzip_min_length 1; }");
    std::fs::create_dir(nginx.file("text")).unwrap();
    let text = "many words, often the same words\n".repeat(10_000);
    std::fs::write(nginx.file("text/long"), &text).unwrap();
    let mesh = mesh(io, &nginx);
    let headers = mesh.directory().join("headers");
    let output = curl([
        "--compressed",
        "-D",
        path(&headers),
        &mesh.url("/text/long"),
    ]);
    check(&output, &text);
    let headers = std::fs::read_to_string(headers)
        .unwrap()
        .to_ascii_lowercase();
    assert!(headers.contains("transfer-encoding: chunked"), "{headers}");
    assert!(!headers.contains("content-length"), "{headers}");
    mesh.finish_one();
}

fn not_modified(io: Io) {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("hello"), "hello").unwrap();
    let mesh = mesh(io, &nginx);
    let (url, tag) = (mesh.url("/hello"), mesh.directory().join("tag"));
    check(&curl(["--etag-save", path(&tag), &url]), "hello");
    let output = curl([
        "--etag-compare",
        path(&tag),
        "-w",
        "%{http_code} %{num_connects}",
        // The connection must be good for another request behind the bodiless one.
        &url,
        "--next",
        "--silent",
        "-w",
        " %{http_code} %{num_connects}",
        &url,
    ]);
    check(&output, "304 1hello 200 0");
    mesh.finish();
}

fn ranges(io: Io) {
    let nginx = Nginx::start("");
    let bytes = noise(100_000);
    std::fs::write(nginx.file("file"), &bytes).unwrap();
    let mesh = mesh(io, &nginx);
    let output = curl(["--range", "1000-50999", &mesh.url("/file")]);
    assert_eq!(output.code, 0, "{}", output.error);
    assert!(output.out == bytes[1000..51_000]);
    assert_eq!(mesh.finish_one().verdict(), "206 -");
}

fn connections_are_reused(io: Io) {
    let nginx = Nginx::start("location /who { return 200 \"$connection \"; }");
    let mesh = mesh(io, &nginx);
    let url = mesh.url("/who?[1-5]");
    let output = curl(["-w", "%{num_connects} ", &url]);
    assert_eq!(output.code, 0, "{}", output.error);
    let words: Vec<_> = output
        .text()
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let upstream: Vec<_> = words.iter().step_by(2).collect();
    let downstream: Vec<_> = words.iter().skip(1).step_by(2).collect();
    assert!(
        upstream.iter().all(|number| *number == upstream[0]),
        "{words:?}"
    );
    assert_eq!(downstream, ["1", "0", "0", "0", "0"]);
    assert_eq!(mesh.finish().len(), 5);
}

/// HTTP/1.0 is answered, not spoken.
fn http10_client(io: Io) {
    let nginx = Nginx::start("");
    let mesh = mesh(io, &nginx);
    let output = curl([
        "--http1.0",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        &mesh.url("/"),
    ]);
    check(&output, "426");
    assert_eq!(mesh.finish_one().verdict(), "426 DPE");
}

fn many_at_once(io: Io) {
    let nginx = Nginx::start("");
    std::fs::write(nginx.file("file"), noise(20_000)).unwrap();
    let mesh = mesh(io, &nginx);
    let output = curl([
        "--parallel",
        "--parallel-immediate",
        "--parallel-max",
        "50",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{size_download}\n",
        &mesh.url("/file?[1-200]"),
    ]);
    check(&output, &"200 20000\n".repeat(200));
    assert_eq!(mesh.finish().len(), 200);
}
