//! The applications of Bookinfo, as small HTTP servers: a page of a book shop that asks three other
//! services. They are what the demo's proxies stand beside, and behave as any application would: an
//! app listens on its own port, calls the others by name through its proxy, and copies trace
//! headers from the request that it serves to those that it makes.

mod calls;
mod details;
mod page;
mod productpage;
mod ratings;
mod reviews;
mod serve;

use std::{net::SocketAddr, sync::Arc};

use axum::{Json, Router, routing::get};
use clap::ValueEnum;
use serde_json::json;

use crate::{
    children::Parent,
    fault::{Exit, Fault},
};

/// Serve one application of the demo's book shop.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example: ringmain demo-app ratings --listen 127.10.0.6:9081")]
pub(crate) struct Arguments {
    /// Which application.
    #[arg(value_enum)]
    name: Name,
    /// Version of it; reviews shows no stars in v1, black ones in v2 and red ones in v3. Ratings of
    /// v2 and v3 ask a database, which has one star for every reader in v1, two in v2, three in v3.
    #[arg(long, value_enum, default_value_t)]
    version: Version,
    /// Address to listen on.
    #[arg(long)]
    listen: SocketAddr,
    /// Address of this application's proxy, through which it calls the others by name.
    #[arg(long)]
    mesh: Option<SocketAddr>,
    #[command(flatten)]
    parent: Parent,
}

/// Which application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// The page itself: asks details and reviews.
    Productpage,
    /// What is printed in the book.
    Details,
    /// What readers say: v2 and v3 ask ratings.
    Reviews,
    /// How many stars they give: v1 knows, others ask a database.
    Ratings,
    /// Keeps the stars. It speaks HTTP here, of which proxies know nothing when its port is TCP.
    Database,
}

/// Version of an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Version {
    #[default]
    V1,
    V2,
    V3,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Fault> {
    let Some(router) = router(arguments) else {
        let cause = "this application calls others: give its proxy's address with --mesh";
        return Err(Fault::Usage(cause.to_owned()));
    };
    serve::serve(arguments.listen, router, arguments.parent)?;
    Ok(Exit::Fine)
}

/// `None` when the application calls others and has no proxy to call them through.
fn router(arguments: &Arguments) -> Option<Router> {
    let calls = || arguments.mesh.map(|mesh| Arc::new(calls::Calls::new(mesh)));
    let router = match arguments.name {
        Name::Productpage => productpage::router(calls()?),
        Name::Details => details::router(arguments.version),
        Name::Reviews => match arguments.version {
            Version::V1 => reviews::router(None),
            Version::V2 => reviews::router(Some((calls()?, "black"))),
            Version::V3 => reviews::router(Some((calls()?, "red"))),
        },
        Name::Ratings => match arguments.version {
            Version::V1 => ratings::router(),
            Version::V2 | Version::V3 => ratings::asking_router(calls()?),
        },
        Name::Database => ratings::database_router(arguments.version),
    };
    let health = || async { Json(json!({"status": "healthy"})) };
    Some(router.route("/health", get(health)))
}

#[cfg(test)]
mod tests;
