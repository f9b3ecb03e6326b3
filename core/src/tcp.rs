//! Where does a TCP connection go: the first route of its listener that matches, and one of that
//! route's clusters by weight.
//!
//! Nothing of what is carried is looked at: only who connected, and to which address.

use std::net::IpAddr;

use ringmain_config::{
    origin::Origin,
    tcp::{self as config, TcpMatch},
};

use crate::{
    place::{Place, Problems},
    route::Clusters,
    snapshot::ClusterIndex,
};

/// The routes of one listener, ready to be asked.
#[derive(Debug, Default)]
pub struct TcpRoutes {
    routes: Box<[TcpRoute]>,
    needs_destination: bool,
}

/// A match and where the connections go that it matches.
#[derive(Debug)]
pub struct TcpRoute {
    /// All of its conditions must hold.
    pub matches: TcpMatch,
    /// Never empty.
    pub destinations: Box<[TcpDestination]>,
    /// Of all destinations; never 0.
    pub weight_sum: u64,
    /// Who asked for it.
    pub origin: Option<Origin>,
}

/// A cluster and its share.
#[derive(Debug)]
pub struct TcpDestination {
    /// Where to.
    pub cluster: ClusterIndex,
    /// Relative to [`TcpRoute::weight_sum`]; 0 is never drawn.
    pub weight: u32,
    /// Sum of the weights up to and with this one.
    weight_upto: u64,
}

/// A connection as far as routing looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Incoming {
    /// The client's address.
    pub source: IpAddr,
    /// The address that it connected to. It may be left out when no route
    /// [asks for it](TcpRoutes::needs_destination); it matches no subnet then.
    pub destination: Option<IpAddr>,
}

impl TcpRoutes {
    /// Decides about a connection. `random` is 64 evenly distributed bits, for the draw among
    /// weighted destinations. `None` when no route matches.
    pub fn decide(&self, connection: &Incoming, random: u64) -> Option<&TcpDestination> {
        let route = self.routes.iter().find(|route| route.is_met(connection))?;
        Some(route.draw(random))
    }

    /// Some route has a condition on the address that the client connected to.
    pub fn needs_destination(&self) -> bool {
        self.needs_destination
    }

    /// All of them, in the order in which they are asked.
    pub fn routes(&self) -> &[TcpRoute] {
        &self.routes
    }

    /// Every cluster that connections may go to.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = ClusterIndex> {
        let destinations = self.routes.iter().flat_map(|route| &route.destinations);
        destinations.map(|destination| destination.cluster)
    }

    /// `None` when something is wrong with them, which is reported.
    pub(crate) fn compile(
        source: &[config::TcpRoute],
        place: &Place<'_>,
        clusters: &impl Clusters,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut routes = Vec::with_capacity(source.len());
        let mut is_sound = true;
        for (index, route) in source.iter().enumerate() {
            let number = index.to_string();
            let place = Place::below(place, "tcp route", &number, route.origin.as_ref());
            match TcpRoute::compile(route, &place, clusters, problems) {
                Some(route) => routes.push(route),
                None => is_sound = false,
            }
        }
        is_sound.then(|| Self {
            needs_destination: routes
                .iter()
                .any(|route| !route.matches.destinations.is_empty()),
            routes: routes.into(),
        })
    }
}

impl TcpRoute {
    /// All conditions hold.
    pub fn is_met(&self, connection: &Incoming) -> bool {
        self.source_is_met(connection.source) && self.destination_is_met(connection.destination)
    }

    pub(crate) fn source_is_met(&self, source: IpAddr) -> bool {
        let subnets = &self.matches.sources;
        subnets.is_empty() || subnets.iter().any(|subnet| subnet.contains(source))
    }

    pub(crate) fn destination_is_met(&self, destination: Option<IpAddr>) -> bool {
        let subnets = &self.matches.destinations;
        let is_in = |address| subnets.iter().any(|subnet| subnet.contains(address));
        subnets.is_empty() || destination.is_some_and(is_in)
    }

    /// The destination that `random` falls to. Each share is exact up to `weight_sum` / 2^64.
    fn draw(&self, random: u64) -> &TcpDestination {
        let point = (u128::from(random) * u128::from(self.weight_sum)) >> 64;
        let drawn = self
            .destinations
            .partition_point(|destination| u128::from(destination.weight_upto) <= point);
        &self.destinations[drawn]
    }

    fn compile(
        source: &config::TcpRoute,
        place: &Place<'_>,
        clusters: &impl Clusters,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut destinations = Vec::with_capacity(source.destinations.len());
        let mut weight_sum = 0;
        for destination in &source.destinations {
            let name = &destination.cluster;
            let Some(cluster) = clusters.index(name) else {
                let place = Place::below(place, "cluster", name, None);
                problems.add_missing(&place, "no such cluster", name, clusters.names());
                continue;
            };
            weight_sum += u64::from(destination.weight);
            destinations.push(TcpDestination {
                cluster,
                weight: destination.weight,
                weight_upto: weight_sum,
            });
        }
        if source.destinations.is_empty() {
            problems.add(place, "it has no destination");
        } else if weight_sum == 0 && destinations.len() == source.destinations.len() {
            problems.add(place, "the weights of its destinations are all 0");
        }
        let is_sound = destinations.len() == source.destinations.len() && weight_sum > 0;
        is_sound.then(|| Self {
            matches: source.matches.clone(),
            destinations: destinations.into(),
            weight_sum,
            origin: source.origin.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use ringmain_config::tcp::{self as config, TcpMatch};

    use super::{Incoming, TcpRoutes};
    use crate::{
        place::{Place, Problems},
        route::Clusters,
        snapshot::ClusterIndex,
    };

    /// Clusters `a`, `b` and `c`.
    struct Three;

    impl Clusters for Three {
        fn index(&self, name: &str) -> Option<ClusterIndex> {
            let index = self.names().position(|known| known == name)?;
            Some(ClusterIndex(index as u32))
        }

        fn names(&self) -> impl Iterator<Item = &str> {
            ["a", "b", "c"].into_iter()
        }
    }

    type Route<'a> = (&'a [&'a str], &'a [&'a str], &'a [(&'a str, u32)]);

    fn compile(routes: &[Route<'_>]) -> Result<TcpRoutes, Vec<String>> {
        let subnets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let routes: Vec<_> = routes
            .iter()
            .map(|(destinations, sources, to)| config::TcpRoute {
                matches: TcpMatch {
                    destinations: subnets(destinations),
                    sources: subnets(sources),
                },
                destinations: to
                    .iter()
                    .map(|(cluster, weight)| config::TcpDestination {
                        cluster: (*cluster).to_owned(),
                        weight: *weight,
                    })
                    .collect(),
                origin: None,
            })
            .collect();
        let mut problems = Problems::default();
        let place = Place::top("listener", "l", None);
        let compiled = TcpRoutes::compile(&routes, &place, &Three, &mut problems);
        match (problems.finish(), compiled) {
            (Ok(()), Some(routes)) => Ok(routes),
            (Err(problems), None) => Err(problems.iter().map(ToString::to_string).collect()),
            (problems, compiled) => panic!("{problems:?} and {compiled:?}"),
        }
    }

    #[track_caller]
    fn check(routes: &[Route<'_>], source: &str, destination: &str, expected: Option<u32>) {
        let routes = compile(routes).unwrap();
        let connection = Incoming {
            source: source.parse().unwrap(),
            destination: destination.parse().ok(),
        };
        let found = routes.decide(&connection, 0).map(|to| to.cluster.0);
        assert_eq!(found, expected, "{source} to {destination}");
    }

    #[test]
    fn the_first_that_matches() {
        let all: Route<'_> = (&[], &[], &[("a", 1)]);
        let database: Route<'_> = (&["10.0.0.0/8", "127.9.0.1"], &[], &[("b", 1)]);
        let office: Route<'_> = (&["10.1.0.0/16"], &["192.168.0.0/16"], &[("c", 1)]);
        check(&[], "1.2.3.4", "10.1.1.1", None);
        check(&[all, database], "1.2.3.4", "10.1.1.1", Some(0));
        check(&[database, all], "1.2.3.4", "10.1.1.1", Some(1));
        check(&[database, all], "1.2.3.4", "127.9.0.1", Some(1));
        check(&[database, all], "1.2.3.4", "11.1.1.1", Some(0));
        check(&[database], "1.2.3.4", "11.1.1.1", None);
        check(&[database], "1.2.3.4", "unknown", None);
        check(&[office, database], "192.168.1.1", "10.1.1.1", Some(2));
        check(&[office, database], "192.168.1.1", "10.2.1.1", Some(1));
        check(&[office, database], "192.169.1.1", "10.1.1.1", Some(1));
        check(&[office], "::ffff:192.168.1.1", "::ffff:10.1.1.1", Some(2));
    }

    #[test]
    fn the_destination_is_asked_for_when_needed() {
        let all: Route<'_> = (&[], &["10.0.0.0/8"], &[("a", 1)]);
        let one: Route<'_> = (&["10.0.0.1"], &[], &[("a", 1)]);
        assert!(!compile(&[all]).unwrap().needs_destination());
        assert!(compile(&[all, one]).unwrap().needs_destination());
    }

    #[test]
    fn shares_are_those_of_the_weights() {
        let weights = [("a", 1), ("b", 0), ("c", 3)];
        let routes = compile(&[(&[], &[], &weights)]).unwrap();
        let connection = Incoming {
            source: [10, 0, 0, 1].into(),
            destination: None,
        };
        let mut drawn = [0; 3];
        for step in 0..1024_u64 {
            let to = routes.decide(&connection, step << 54);
            drawn[to.unwrap().cluster.0 as usize] += 1;
        }
        assert_eq!(drawn, [256, 0, 768]);
    }

    #[test]
    fn what_is_wrong_with_routes() {
        for (to, expected) in [
            (
                &[][..],
                "error: listener \"l\" > tcp route \"0\": it has no destination",
            ),
            (
                &[("a", 0), ("b", 0)],
                "error: listener \"l\" > tcp route \"0\": the weights of its destinations are all 0",
            ),
            (
                &[("d", 1)],
                "error: listener \"l\" > tcp route \"0\" > cluster \"d\": no such cluster",
            ),
        ] {
            let problems = compile(&[(&[], &[], to)]).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].starts_with(expected), "{problems:?}");
        }
    }
}
