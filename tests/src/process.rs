//! A child process whose output is kept, and which is gone when the test is.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// A running child.
pub struct Process {
    name: String,
    child: Child,
    out: Lines,
    error: Lines,
}

/// Lines of an output so far, and the thread that reads them.
struct Lines {
    so_far: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Lines {
    fn follow(output: impl Read + Send + 'static) -> Self {
        let so_far = Arc::new(Mutex::new(Vec::new()));
        let written = Arc::clone(&so_far);
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                written.lock().unwrap().push(line);
            }
        });
        Self { so_far, reader }
    }

    fn text(&self) -> String {
        self.so_far.lock().unwrap().join("\n")
    }
}

impl Process {
    /// Starts `program`. The kernel kills it when the calling thread ends, so that nothing is left
    /// behind even when the test is killed: call this on the test's own thread.
    pub fn start<S: AsRef<OsStr>>(
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program.as_ref())
            .args(arguments)
            .env_remove("RINGMAIN_LOG")
            .env_remove("RINGMAIN_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("setpriv of util-linux is there");
        let out = Lines::follow(child.stdout.take().unwrap());
        let error = Lines::follow(child.stderr.take().unwrap());
        let name = format!("{command:?}");
        Self {
            name,
            child,
            out,
            error,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Standard output so far.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// Standard error so far.
    pub fn error(&self) -> String {
        self.error.text()
    }

    /// Waits until a line of standard output or standard error contains `text`.
    pub fn wait_for(&mut self, text: &str) -> String {
        let name = self.name.clone();
        wait::until(format!("{text:?} from {name}"), || {
            let (out, error) = (self.out(), self.error());
            let found = out.lines().chain(error.lines());
            let found = found.into_iter().find(|line| line.contains(text));
            match (found.map(str::to_owned), self.child.try_wait().unwrap()) {
                (Some(line), _) => Ok(line),
                (None, Some(status)) => panic!("{name} ended with {status}:\n{out}\n{error}"),
                (None, None) => Err(format!("{out}\n{error}")),
            }
        })
    }

    /// It has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks it to end.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).expect("a child that was not waited for has its id");
    }

    /// SIGTERM, then its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// SIGKILL, then its end.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end, and that of its output.
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        wait::until(format!("the end of {name}"), || {
            let status = self.child.try_wait().unwrap();
            let is_read = self.out.reader.is_finished() && self.error.reader.is_finished();
            let status = status.filter(|_| is_read);
            status.ok_or_else(|| format!("{}\n{}", self.out(), self.error()))
        })
    }

    /// Memory that it holds for itself, in KiB: code, which comes and goes, is not in it.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("RssAnon")
    }

    /// A line of its status in /proc.
    pub fn memory_kib(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|rest| rest.trim().strip_suffix("kB"));
        let kib = kib.unwrap_or_else(|| panic!("a running process has {name}"));
        kib.trim().parse().unwrap()
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.id());
        std::fs::read_dir(path).unwrap().count()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        drop(self.child.kill());
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- {}\n{}\n{}", self.name, self.out(), self.error());
        }
    }
}
