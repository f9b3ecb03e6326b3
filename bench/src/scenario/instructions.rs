//! Instructions outside the kernel per request: a figure that no neighbour disturbs.
//!
//! The proxy runs in valgrind's callgrind, twice, with two numbers of requests; the difference is
//! the requests', since starting and stopping cost the same in both. It uses epoll there, because
//! valgrind does not know io_uring: the engine's own part differs, everything above it is the same.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    bench::{Bench, missing_program},
    budget::Budget,
    client::{
        Connection,
        http2::{Question, Streams},
    },
    load::What,
    origin::Origin,
    peer::{Carries, Running, Size, Task, Version, ringmain::Setup},
    process::find,
    report::{Column, Outline, Report},
    table::Table,
};

mod profile;

pub(super) const OUTLINE: Outline = Outline {
    name: "instructions",
    title: "the proxy's own work",
    about: "Instructions of Ringmain per request outside the kernel, with epoll, 64 requests at a \
            time: each on a connection of its own, over HTTP/2 from the client 16 on each of 4.",
    columns: &[Column::median(
        "user_instructions_per_request",
        "instructions/request",
        0,
    )],
    charts: &[],
};

const CONNECTIONS: u32 = 64;
/// Of a connection of HTTP/2. As many requests are under way as over HTTP/1.1.
const STREAMS: u32 = 16;

/// A case: what is sent, and in how many turns of all connections the shorter run sends it. The
/// longer one has thrice as many.
struct Case {
    name: &'static str,
    carries: Carries,
    what: What,
    turns: u32,
}

const CASES: [Case; 9] = [
    Case {
        name: "h1 100 B",
        carries: Carries::Http(Table::SMALL, Size::Small),
        what: What::Get("/bytes/100"),
        turns: 20,
    },
    Case {
        name: "h1 64 KiB",
        carries: Carries::Http(Table::SMALL, Size::Large),
        what: What::Get("/bytes/65536"),
        turns: 5,
    },
    Case {
        name: "h1-routes",
        carries: Carries::Http(Table::LARGE, Size::Small),
        what: What::Table(Table::LARGE),
        turns: 20,
    },
    Case {
        name: "h1-post 64 KiB",
        carries: Carries::Http(Table::SMALL, Size::Large),
        what: What::Post("/bytes/100", 64 << 10),
        turns: 5,
    },
    Case {
        name: "h2 to h1",
        carries: Carries::Versions(Version::Two, Version::One),
        what: What::Streams("/bytes/100", STREAMS),
        turns: 20,
    },
    Case {
        name: "h1 to h2",
        carries: Carries::Versions(Version::One, Version::Two),
        what: What::Get("/bytes/100"),
        turns: 20,
    },
    Case {
        name: "h2 to h2",
        carries: Carries::Versions(Version::Two, Version::Two),
        what: What::Streams("/bytes/100", STREAMS),
        turns: 20,
    },
    Case {
        name: "grpc",
        carries: Carries::Versions(Version::Two, Version::Two),
        what: What::Calls(100, STREAMS),
        turns: 20,
    },
    Case {
        name: "tcp echo 64 B",
        carries: Carries::Tcp(Size::Small),
        what: What::Echo(64),
        turns: 20,
    },
];

pub(super) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    if find("valgrind").is_none() {
        report.notes.push(missing_program("valgrind"));
        if bench.arguments.check {
            bail!("without valgrind there is nothing to check");
        }
        return Ok(());
    }
    let cases = if bench.is_smoke() {
        &CASES[..1]
    } else {
        &CASES
    };
    let mut figures = Vec::new();
    for case in cases {
        bench.progress.say(format!("instructions: {}", case.name));
        let turns = if bench.is_smoke() { 1 } else { case.turns };
        let directory = bench.directory()?;
        let (few, many) = both(bench, directory.path(), case, turns)?;
        let requests = f64::from(2 * turns * CONNECTIONS);
        let total = |file: &Path| -> Result<u64> {
            let text = fs::read_to_string(file).context("callgrind wrote no counts")?;
            profile::total(&text).with_context(|| format!("no totals in {}", file.display()))
        };
        let figure = (total(&many)? as f64 - total(&few)? as f64) / requests;
        let quantity = "user_instructions_per_request";
        report.push(case.name, "ringmain", quantity, figure);
        figures.push((case.name.to_owned(), figure));
        let is_shown = figures.len() == 1 || matches!(case.carries, Carries::Versions(..));
        if is_shown && !bench.is_smoke() {
            let table = profile::table(&few, &many, requests)?;
            report.notes.push(format!(
                "{} by function and the file it was inlined from:\n\n{table}",
                case.name
            ));
        }
    }
    if bench.arguments.record {
        Budget::record(&bench.arguments.budget, &figures)?;
    }
    if bench.arguments.check {
        let budget = Budget::read(&bench.arguments.budget)?;
        for (case, figure) in &figures {
            let standing = budget.judge(case, *figure);
            let list = match standing.exceeded {
                true => &mut report.failures,
                false => &mut report.notes,
            };
            list.push(standing.text);
        }
    }
    Ok(())
}

/// Callgrind's files of the shorter and the longer run, which go on at the same time.
fn both(bench: &Bench, directory: &Path, case: &Case, turns: u32) -> Result<(PathBuf, PathBuf)> {
    thread::scope(|scope| {
        let few = scope.spawn(|| count(bench, &directory.join("few"), 0, case, turns));
        let many = count(bench, &directory.join("many"), 1, case, turns * 3)?;
        let few = few.join().map_err(|_| anyhow!("a run panicked"))??;
        Ok((few, many))
    })
}

/// Callgrind's file of a proxy that serves so many turns.
fn count(bench: &Bench, folder: &Path, core: usize, case: &Case, turns: u32) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let origin = Origin::own(bench, folder)?;
    let file = folder.join("callgrind.out");
    let mut file_option = OsString::from("--callgrind-out-file=");
    file_option.push(&file);
    let wrapper = [
        OsStr::new("valgrind"),
        OsStr::new("--tool=callgrind"),
        OsStr::new("--quiet"),
        &file_option,
    ];
    let address = match case.carries {
        Carries::Http(..) | Carries::Tls => origin.http,
        Carries::Versions(_, upstream) => origin.speaks(upstream)?,
        Carries::Tcp(_) => origin.tcp()?.echo,
    };
    let task = Task {
        carries: case.carries,
        origin: address,
        workers: 1,
    };
    let cores = [bench.arguments.core, bench.arguments.load_core].map(|core| core.to_string());
    let setup = Setup {
        io: "epoll",
        wrapper: &wrapper,
        ..Setup::new(bench, folder, &cores[core])
    };
    let ringmain = setup.start(&task, None)?;
    serve(&ringmain.proxy, &case.what, turns)?;
    ringmain.stop()?;
    Ok(file)
}

/// Every connection sends before any answer is awaited, so that the proxy has work for each turn of
/// its loop, as under load.
fn serve(proxy: &Running, what: &What, turns: u32) -> Result<()> {
    let question = match *what {
        What::Streams(path, _) => Some(Question::Get(path)),
        What::Calls(bytes, _) => Some(Question::Call(bytes)),
        _ => None,
    };
    if let Some(question) = question {
        return serve_streams(proxy, question, turns);
    }
    let mut connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| Connection::open(proxy.address))
        .collect::<Result<_>>()?;
    let line = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
    for turn in 0..turns {
        for (number, connection) in (0..).zip(&mut connections) {
            let bytes = match what {
                What::Get(path) | What::Connect(path) => {
                    format!("{}\r\n", line("GET", path)).into_bytes()
                }
                What::Table(table) => table.request(turn * CONNECTIONS + number),
                What::Post(path, bytes) => {
                    let head = line("POST", path);
                    let body = "x".repeat(*bytes as usize);
                    format!("{head}Content-Length: {bytes}\r\n\r\n{body}").into_bytes()
                }
                What::Echo(bytes) => vec![b'x'; *bytes as usize],
                What::Secured(_)
                | What::Handshakes(..)
                | What::Streams(..)
                | What::Calls(..)
                | What::Stream(_) => {
                    bail!("these are no messages on a connection of their own")
                }
            };
            connection.send(&bytes)?;
        }
        for connection in &mut connections {
            if let What::Echo(bytes) = what {
                connection.receive_bytes(*bytes as usize)?;
            } else {
                let answer = connection.receive()?;
                anyhow::ensure!(answer.status == 200, "answered {}", answer.status);
            }
        }
    }
    Ok(())
}

/// As [`serve`], many requests at a time on each connection.
fn serve_streams(proxy: &Running, question: Question, turns: u32) -> Result<()> {
    let mut connections: Vec<_> = (0..CONNECTIONS / STREAMS)
        .map(|_| Streams::open(proxy.address))
        .collect::<Result<_>>()?;
    for _ in 0..turns {
        for connection in &mut connections {
            connection.send(question, STREAMS)?;
        }
        for connection in &mut connections {
            connection.receive(STREAMS)?;
        }
    }
    Ok(())
}
