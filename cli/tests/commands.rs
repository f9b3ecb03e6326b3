//! The built command as its users meet it: output, exit codes, errors.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod shop;

use std::process::{Command, Output, Stdio};

fn ringmain(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringmain"));
    command
        .args(arguments)
        .env_remove("RINGMAIN_LOG")
        .env_remove("RINGMAIN_SOCKET")
        .stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = ringmain(arguments).output().unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const COMMANDS: [&str; 11] = [
    "run",
    "control",
    "proxy",
    "check",
    "explain",
    "status",
    "get",
    "load",
    "bench",
    "profile",
    "completion",
];

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &[][..],
        &["nonsense"],
        &["run"],
        &["control"],
        &["explain", "GET", "http://a/"],
        &["explain", "--resources", ".", "GET", "nowhere"],
        &[
            "explain",
            "--resources",
            ".",
            "GET",
            "http://a/",
            "-H",
            "no field",
        ],
        &[
            "explain",
            "--resources",
            ".",
            "GET",
            "http://a/",
            "--gateway",
            "a",
            "--from",
            "b",
        ],
        &["get"],
        &["get", "nonsense"],
        &["get", "routes", "--admin", "nowhere"],
        &["load"],
        &["load", "nowhere"],
        &["load", "compare", "a.json"],
        &["profile", "show", "nonsense"],
        &["completion", "nonsense"],
    ] {
        let (code, out, error) = run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {error}");
        assert_eq!(out, "", "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let (code, out, error) = run(&[command, "--help"]);
        assert_eq!((code, error.as_str()), (0, ""), "{command}");
        assert!(out.contains("Example"), "{command}: {out}");
        assert!(
            out.contains(&format!("ringmain {command}")),
            "{command}: {out}"
        );
    }
}

/// Of the command with the most of them.
#[test]
fn the_reference_of_load_has_every_flag() {
    let reference = include_str!("../../docs/load.md");
    let (_, help, _) = run(&["load", "--help"]);
    let lines = help.lines().map(str::trim_start);
    let flags: Vec<_> = lines
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--")))
        .collect();
    assert!(flags.len() > 30, "{flags:?}");
    for flag in flags.into_iter().filter(|flag| *flag != "--help") {
        let found = ["`", " "].map(|end| reference.contains(&format!("`{flag}{end}")));
        let beside = reference.contains(&format!(", `{flag}"));
        assert!(found.contains(&true) || beside, "{flag}");
    }
}

#[test]
fn help_names_every_command() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, 0);
    for command in COMMANDS {
        let listed = out
            .lines()
            .any(|line| line.trim().starts_with(&format!("{command} ")));
        assert!(listed, "{command}: {out}");
    }
}

#[test]
fn profiles_are_listed_and_shown() {
    let (code, out, error) = run(&["profile", "list"]);
    assert_eq!((code, error.as_str()), (0, ""));
    let names: Vec<_> = out
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        names,
        ["NAME", "default", "minimal", "edge", "throughput", "demo"]
    );

    let (code, out, _) = run(&["profile", "list", "-o", "json"]);
    let list: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, list[2]["name"].as_str()), (0, Some("edge")));

    let (_, out, _) = run(&["profile", "show", "edge", "-o", "json"]);
    let edge: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(edge["limits"]["request_head_timeout"], "5s");
    let (_, out, _) = run(&["profile", "show", "throughput"]);
    assert!(out.contains("\naccess = \"off\"\n"), "{out}");
}

#[test]
fn what_a_profile_shows_passes_check() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["default", "minimal", "edge", "throughput", "demo"] {
        let (_, text, _) = run(&["profile", "show", name]);
        let file = directory.path().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
    }
    let files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().display().to_string())
        .collect();
    let mut arguments = vec!["check"];
    arguments.extend(files.iter().map(String::as_str));
    let (code, out, _) = run(&arguments);
    assert_eq!(
        (code, out.as_str()),
        (0, "0 resources of 5 files: 0 errors, 0 warnings\n")
    );
}

#[test]
fn completion_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, error) = run(&["completion", shell]);
        assert_eq!((code, error.as_str()), (0, ""), "{shell}");
        for command in COMMANDS {
            assert!(out.contains(command), "{shell}: {command}");
        }
    }
}

/// A reader that stops early is no failure, and nothing panics.
#[test]
fn closed_outputs_are_no_failure() {
    for arguments in [
        &["profile", "show", "default"][..],
        &["completion", "bash"],
        &["profile", "list", "-o", "json"],
    ] {
        let mut child = ringmain(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let Output { status, stderr, .. } = child.wait_with_output().unwrap();
        let error = String::from_utf8(stderr).unwrap();
        assert_eq!(
            (status.code(), error.as_str()),
            (Some(0), ""),
            "{arguments:?}"
        );
    }
    let mut child = ringmain(&["profile", "show", "nonsense"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}

#[test]
fn a_full_disk_is_a_failure() {
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = ringmain(&["profile", "list"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with("ringmain: cannot write to standard output: "),
        "{error}"
    );
}

#[test]
fn absent_planes_are_said_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("none.sock");
    let socket = socket.to_str().unwrap();
    // Bound and never listened on: nobody can be there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap().to_string();
    drop(port);
    for (arguments, expected) in [
        (&["status", "--socket", socket][..], socket),
        (&["get", "resources", "--socket", socket], socket),
        (&["get", "proxies", "--socket", socket], "--socket"),
        (
            &["get", "routes", "--proxy", "a", "--socket", socket],
            socket,
        ),
        (&["get", "routes", "--admin", &address], "--admin"),
        (&["status", "--admin", &address], &address),
    ] {
        let (code, out, error) = run(arguments);
        assert_eq!((code, out.as_str()), (1, ""), "{arguments:?}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn check_names_every_problem_of_every_file() {
    let shop = shop::write();
    let directory = shop.path().to_str().unwrap();
    let (code, out, error) = run(&["check", directory]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert_eq!(out, "8 resources of 2 files: 0 errors, 0 warnings\n");

    std::fs::write(shop.path().join("ringmain.toml"), "[limit]\nheaders = 5\n").unwrap();
    let broken = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                  metadata: { name: broken }\nspec:\n  host: [a]\n  hosts: [a]\n  http: []\n";
    std::fs::write(shop.path().join("broken.yaml"), broken).unwrap();
    let (code, out, error) = run(&["check", directory]);
    assert_eq!((code, error.as_str()), (1, ""), "{out}");
    let starts = [
        format!(
            "{directory}/ringmain.toml:1:2: error: limit: no such table; did you mean `[limits]`?"
        ),
        format!("{directory}/broken.yaml:5:3: error: "),
    ];
    for start in starts {
        assert!(
            out.lines().any(|line| line.starts_with(&start)),
            "{start}\n{out}"
        );
    }

    let (code, out, _) = run(&["check", directory, "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, found["files"].as_u64()), (1, Some(4)), "{out}");
    let problems = found["problems"].as_array().unwrap();
    assert_eq!(found["errors"], problems.len());
    let toml = problems
        .iter()
        .find(|problem| problem["file"] == format!("{directory}/ringmain.toml"));
    assert_eq!(toml.unwrap()["line"], 1);
}

/// A slip in one file hides nothing in the others, and what the broken file would have defined is
/// not called missing.
#[test]
fn check_compares_what_is_sound_when_something_is_not() {
    let shop = shop::write();
    let directory = shop.path().to_str().unwrap();
    let service = |name: &str, more: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {name} \
             }}\nspec:\n  hosts: [{name}]\n  http: [{{ route: [{{ destination: {{ host: cart \
             }} }}]{more} }}]\n"
        )
    };
    for (file, text) in [
        ("broken.yaml", service("broken", ", retrys: {}")),
        ("one.yaml", service("twice", "")),
        ("two.yaml", service("twice", "")),
    ] {
        std::fs::write(shop.path().join(file), text).unwrap();
    }
    let (code, out, _) = run(&["check", directory]);
    assert_eq!(code, 1);
    let lines: Vec<_> = out.lines().collect();
    let [broken, duplicate, conflict, summary] = lines[..] else {
        panic!("{out}");
    };
    assert!(
        broken.contains("no field `retrys`; did you mean `retries`"),
        "{out}"
    );
    assert!(
        duplicate.contains("two.yaml:1:1: error: ") && duplicate.contains("one.yaml"),
        "{out}"
    );
    assert!(conflict.contains("two.yaml:5:11: warning: "), "{out}");
    assert_eq!(summary, "10 resources of 5 files: 2 errors, 1 warning");
}

#[test]
fn warnings_are_bad_only_when_strict() {
    let shop = shop::write();
    let file = shop.path().join("fault.yaml");
    let fault = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                 metadata: { name: fault }\nspec:\n  hosts: [ratings]\n  http:\n  \
                 - fault: { abort: { httpStatus: 500 } }\n    \
                 route: [{ destination: { host: reviews } }]\n";
    std::fs::write(&file, fault).unwrap();
    let directory = shop.path().to_str().unwrap();
    let (code, out, _) = run(&["check", directory]);
    assert_eq!(code, 0, "{out}");
    assert!(
        out.contains("warning: VirtualService default/fault"),
        "{out}"
    );
    assert_eq!(run(&["check", directory, "--strict"]).0, 1);
}

#[test]
fn check_of_nothing_is_bad() {
    let empty = tempfile::tempdir().unwrap();
    let absent = empty.path().join("absent");
    for path in [empty.path(), &absent, &absent.join("ringmain.toml")] {
        let (code, out, _) = run(&["check", path.to_str().unwrap()]);
        assert_eq!(code, 1, "{out}");
        assert!(out.ends_with(": 1 error, 0 warnings\n"), "{out}");
    }
}

/// What `explain` answers for these words; the directory is `DIR` in it.
fn explain(words: &[&str]) -> (i32, String, String) {
    let shop = shop::write();
    let directory = shop.path().to_str().unwrap();
    let mut arguments = vec!["explain", "--resources", directory];
    arguments.extend(words);
    let (code, out, error) = run(&arguments);
    (
        code,
        out.replace(directory, "DIR"),
        error.replace(directory, "DIR"),
    )
}

#[test]
fn explain_tells_the_story_of_a_request() {
    for (words, code, expected) in [
        (
            &["GET", "http://shop.example/reviews/7"][..],
            0,
            include_str!("shop/forwarded.txt"),
        ),
        (
            &[
                "GET",
                "http://shop.example:8080/reviews/7",
                "-H",
                "End-User: jason",
            ],
            0,
            include_str!("shop/jason.txt"),
        ),
        (
            &["GET", "http://shop.example/old", "--gateway", "shop"],
            0,
            include_str!("shop/redirected.txt"),
        ),
        (
            &["GET", "http://shop.example/else"],
            1,
            include_str!("shop/no_route.txt"),
        ),
        (
            &["GET", "http://other.example/"],
            1,
            include_str!("shop/no_host.txt"),
        ),
        (
            &[
                "POST",
                "http://ratings:9080/x",
                "--from",
                "default/reviews-v1",
            ],
            1,
            include_str!("shop/no_endpoint.txt"),
        ),
        (
            &[
                "POST",
                "https://shop.example/else",
                "-H",
                "content-type: application/grpc",
                "-H",
                "x-envoy-internal: true",
                "--source",
                "192.0.2.7",
            ],
            1,
            include_str!("shop/grpc.txt"),
        ),
        (
            &["GET", "http://nobody:9080/", "--from", "reviews-v1"],
            1,
            include_str!("shop/blocked.txt"),
        ),
        (
            &["CONNECT", "http://shop.example/reviews/7"],
            1,
            include_str!("shop/connect.txt"),
        ),
    ] {
        let (found, out, error) = explain(words);
        assert_eq!((found, error.as_str()), (code, ""), "{words:?}");
        assert_eq!(out, expected, "{words:?}:\n{out}");
    }
}

#[test]
fn explain_as_json() {
    let (code, out, _) = explain(&["GET", "http://shop.example/reviews/7", "-o", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(answer["at"], "Gateway default/shop");
    assert_eq!(answer["route"]["origin"]["file"], "DIR/mesh.yaml");
    let destinations = answer["outcome"]["forward"].as_array().unwrap();
    let shares: Vec<_> = destinations.iter().map(|to| to["share"].as_f64()).collect();
    assert_eq!(shares, [Some(90.0), Some(10.0)]);
    assert_eq!(destinations[0]["subset"], "v1");
    assert_eq!(destinations[0]["endpoints"][0]["address"], "127.0.0.1:9081");

    let (code, out, _) = explain(&["GET", "http://other.example/", "-o", "json"]);
    let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &answer["outcome"]["refused"]["flag"]),
        (1, &"NR".into())
    );
}

#[test]
fn explain_asks_for_what_it_cannot_know() {
    for (words, code, expected) in [
        (
            &["GET", "http://a/", "--gateway", "other"][..],
            2,
            "ringmain: there is no Gateway \"other\"; there are --gateway default/shop, \
             --from default/reviews-v1, --from default/reviews-v2\n",
        ),
        (
            &["GET", "http://a/", "--from", "default/nobody"],
            2,
            "ringmain: there is no workload \"default/nobody\"; there are --gateway default/shop, \
             --from default/reviews-v1, --from default/reviews-v2\n",
        ),
        (
            &["GET", "http://a:81/"],
            1,
            "ringmain: Gateway default/shop does not listen on port 81; \
             name a port in the URL: it listens on 0.0.0.0:8080\n",
        ),
        (
            &["GET", "http://a:81/", "--from", "reviews-v2"],
            1,
            "ringmain: workload default/reviews-v2 listens nowhere for such requests; \
             it needs a Sidecar with an egress listener for the port\n",
        ),
    ] {
        let (found, out, error) = explain(words);
        assert_eq!(
            (found, out.as_str(), error.as_str()),
            (code, "", expected),
            "{words:?}"
        );
    }
}

#[test]
fn a_tuning_file_with_problems_starts_nothing() {
    let shop = shop::write();
    let file = shop.path().join("bad.toml");
    std::fs::write(&file, "[workers]\nentries = 5\ncuont = 1\n").unwrap();
    let directory = shop.path().to_str().unwrap();
    let config = file.to_str().unwrap();
    let (code, out, error) = run(&["run", "--resources", directory, "--config", config]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert_eq!(
        error,
        format!(
            "{config}:2:11: error: workers.entries: 5 is not permitted; \
             permitted: a power of two from 256 to 32768\n\
             {config}:3:1: error: workers.cuont: no such key; did you mean `count`?\n"
        )
    );
    let absent = shop.path().join("absent.toml");
    let (code, _, error) = run(&[
        "run",
        "--resources",
        directory,
        "--config",
        absent.to_str().unwrap(),
    ]);
    assert_eq!(code, 1);
    assert!(error.contains("cannot read the tuning file"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}
