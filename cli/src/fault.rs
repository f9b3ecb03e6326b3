//! Why a command cannot do its work, and what the process then exits with.

use std::{fmt, process::ExitCode};

use ringmain_config::problem::Problem;

/// How a command ended, as its caller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Code 0.
    Fine,
    /// Code 1: the thing asked about is bad, or the work could not be done.
    Bad,
    /// Code 2: the command line does not say what to do. The parser of arguments uses it as well.
    Usage,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Fine => Self::SUCCESS,
            Exit::Bad => Self::from(1),
            Exit::Usage => Self::from(2),
        }
    }
}

/// Why a command stopped: for standard error.
#[derive(Debug)]
pub(crate) enum Fault {
    /// One line: cause, then remedy.
    Failed {
        /// What could not be done and why.
        cause: String,
        /// What to do about it.
        remedy: Option<String>,
    },
    /// The arguments fit the grammar but not what they name.
    Usage(String),
    /// What the files say is wrong, one line each.
    Problems(Vec<Problem>),
}

impl Fault {
    /// Something could not be done.
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self::Failed {
            cause: cause.into(),
            remedy: None,
        }
    }

    /// As [`Self::new`], with what to do about it.
    pub(crate) fn with(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Failed {
            cause: cause.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// What the process exits with.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Failed { .. } | Self::Problems(_) => Exit::Bad,
            Self::Usage(_) => Exit::Usage,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { cause, remedy } => {
                write!(formatter, "ringmain: {cause}")?;
                match remedy {
                    Some(remedy) => write!(formatter, "; {remedy}"),
                    None => Ok(()),
                }
            }
            Self::Usage(cause) => write!(formatter, "ringmain: {cause}"),
            Self::Problems(problems) => {
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                formatter.write_str(&lines.join("\n"))
            }
        }
    }
}
