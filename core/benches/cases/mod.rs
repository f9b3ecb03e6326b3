//! What is measured, in time and in instructions alike.

mod balance;
mod hosts;
mod http1;
mod record;
mod route;
mod snapshot;
mod way;

/// Makes so many turns of one thing.
pub(crate) type Run = Box<dyn FnMut(u64)>;

/// One thing that is measured.
pub(crate) struct Case {
    /// `what/of what`.
    pub(crate) name: &'static str,
    /// Sets it up.
    pub(crate) make: fn() -> Run,
    /// Enough for a count of instructions.
    #[allow(dead_code, reason = "time is measured over as many as fit")]
    pub(crate) turns: u64,
}

const fn case(name: &'static str, make: fn() -> Run) -> Case {
    Case {
        name,
        make,
        turns: 2000,
    }
}

const fn slow(name: &'static str, make: fn() -> Run) -> Case {
    Case {
        name,
        make,
        turns: 1,
    }
}

pub(crate) const ALL: &[Case] = &[
    case("http1/request decode, small", || {
        http1::decode_request(http1::SMALL)
    }),
    case("http1/request decode, browser", || {
        http1::decode_request(http1::BROWSER)
    }),
    case("http1/request encode, small", || {
        http1::encode_request(http1::SMALL)
    }),
    case("http1/request encode, browser", || {
        http1::encode_request(http1::BROWSER)
    }),
    case("http1/request encode, rewritten", http1::encode_rewritten),
    case("http1/response decode, small", || {
        http1::decode_response(http1::ANSWER)
    }),
    case("http1/response decode, long", || {
        http1::decode_response(http1::LONG_ANSWER)
    }),
    case("http1/response encode, small", || {
        http1::encode_response(http1::ANSWER)
    }),
    case("http1/response encode, long", || {
        http1::encode_response(http1::LONG_ANSWER)
    }),
    case("way/request and answer, small", || {
        way::exchange(http1::SMALL, http1::ANSWER)
    }),
    case("way/request and answer, long", || {
        way::exchange(http1::BROWSER, http1::LONG_ANSWER)
    }),
    case("route/10 routes, warm", || {
        route::hosts(1, route::Order::Same)
    }),
    case("route/10 routes, spread", || {
        route::hosts(1, route::Order::Spread)
    }),
    case("route/1k routes, warm", || {
        route::hosts(100, route::Order::Same)
    }),
    case("route/1k routes, spread", || {
        route::hosts(100, route::Order::Spread)
    }),
    case("route/100k routes, warm", || {
        route::hosts(10_000, route::Order::Same)
    }),
    case("route/100k routes, spread", || {
        route::hosts(10_000, route::Order::Spread)
    }),
    case("route/100k routes of one host, warm", || {
        route::one_host(route::Order::Same)
    }),
    case("route/100k routes of one host, spread", || {
        route::one_host(route::Order::Spread)
    }),
    case("record/access log line", record::line),
    case("balance/least request", || balance::pick(0)),
    case("balance/round robin", || balance::pick(1)),
    case("balance/random", || balance::pick(2)),
    case("balance/least request, by weight", || {
        balance::pick_weighted(0)
    }),
    case("balance/round robin, by weight", || {
        balance::pick_weighted(1)
    }),
    case("balance/random, by weight", || balance::pick_weighted(2)),
    slow("snapshot/10k clusters, all new", || {
        snapshot::whole(CLUSTERS)
    }),
    slow("snapshot/10k clusters, one endpoint changed", || {
        snapshot::one_endpoint(CLUSTERS)
    }),
    slow("snapshot/10k clusters and routes, all new", || {
        snapshot::whole(ROUTED)
    }),
    slow(
        "snapshot/10k clusters and routes, one endpoint changed",
        || snapshot::one_endpoint(ROUTED),
    ),
    slow("snapshot/100 clusters, all new", || snapshot::whole(LARGE)),
    slow("snapshot/100 clusters, one endpoint changed", || {
        snapshot::one_endpoint(LARGE)
    }),
    slow("snapshot/1 cluster, one endpoint changed", || {
        snapshot::one_endpoint(ONE)
    }),
];

/// Ten endpoints each.
const CLUSTERS: snapshot::Mesh = snapshot::Mesh {
    clusters: 10_000,
    has_routes: false,
};

const ROUTED: snapshot::Mesh = snapshot::Mesh {
    has_routes: true,
    ..CLUSTERS
};

/// A thousand endpoints each.
const LARGE: snapshot::Mesh = snapshot::Mesh {
    clusters: 100,
    ..CLUSTERS
};

/// All endpoints.
const ONE: snapshot::Mesh = snapshot::Mesh {
    clusters: 1,
    ..CLUSTERS
};
