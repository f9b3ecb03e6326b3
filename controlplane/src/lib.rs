//! Istio's YAML in, one Document per proxy out.
//!
//! ```text
//! source/ --resources--> world (registry) --per proxy--> assemble --Document--> publish/
//! ```
//!
//! [`resource`] turns YAML into typed resources, [`source`] reads them from a directory and follows
//! it, [`registry`] tells who answers for which service, [`world`] holds all of it at one moment,
//! [`assemble`] makes the Document of one proxy, [`compile`] checks it with the proxies' own code,
//! [`publish`] carries it to them. [`mod@run`] is the process; the command line's `check` and
//! `explain` use the same steps without it:
//!
//! ```no_run
//! # use ringmain_controlplane::{analyze, assemble, compile, source, world::World};
//! # use ringmain_config::{node::Node, problem::Problem};
//! # fn example(node: &Node) -> Result<(), Problem> {
//! let reading = source::load("resources".as_ref())?;
//! let world = World::new(&reading.resources, []);
//! let errors = compile::check_world(&world, [node]);
//! let warnings = analyze::analyze(&world, analyze::Extent::Mesh);
//! let (document, of_this_proxy) = assemble::assemble(&world, node);
//! # Ok(())
//! # }
//! ```

pub mod analyze;
pub mod assemble;
pub mod client;
pub mod compile;
mod control;
pub mod publish;
pub mod registry;
pub mod resource;
pub mod run;
pub mod source;
pub mod status;
pub mod world;

use ringmain_config::problem::{Problem, Severity};

pub use self::run::{Limits, Options, Running, StartError, run};

/// Version of this program, as told to peers.
pub(crate) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The problem stops what it is in from being used.
pub(crate) fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}
