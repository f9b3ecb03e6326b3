//! Which virtual host stands for which domain, each domain once.

use std::collections::BTreeSet;

use ringmain_config::route::VirtualHost;

use crate::{
    registry::{Service, split_service_host},
    resource::host::covers,
};

/// The virtual hosts of one route table.
#[derive(Default)]
pub(super) struct VirtualHosts {
    hosts: Vec<Candidate>,
}

struct Candidate {
    /// Its `domains` are the names it was written for.
    virtual_host: VirtualHost,
    /// Short forms; a name that another virtual host was written for is not taken from it.
    aliases: Vec<String>,
}

impl VirtualHosts {
    /// Adds a virtual host; domains that an earlier one has stay with that one.
    pub(super) fn push(&mut self, virtual_host: VirtualHost, aliases: Vec<String>) {
        self.hosts.push(Candidate {
            virtual_host,
            aliases,
        });
    }

    /// In the order they were added, without those that are left no domain.
    pub(super) fn finish(self) -> Vec<VirtualHost> {
        let mut taken = BTreeSet::new();
        let mut hosts = self.hosts;
        for host in &mut hosts {
            let domains = &mut host.virtual_host.domains;
            domains.retain(|domain| taken.insert(domain.clone()));
        }
        for host in &mut hosts {
            let mut aliases = std::mem::take(&mut host.aliases);
            aliases.retain(|domain| taken.insert(domain.clone()));
            host.virtual_host.domains.append(&mut aliases);
        }
        hosts
            .into_iter()
            .map(|host| host.virtual_host)
            .filter(|host| !host.domains.is_empty())
            .collect()
    }
}

/// `host`, and with the port unless it is a wildcard: one stands for every port anyway.
pub(super) fn with_port(host: &str, port: u16) -> Vec<String> {
    let mut domains = vec![host.to_owned()];
    if !host.contains('*') {
        domains.push(format!("{host}:{port}"));
    }
    domains
}

/// Short forms and addresses of a service, as clients in `namespace` may call it.
pub(super) fn aliases(service: &Service, namespace: &str, port: u16) -> Vec<String> {
    let mut names = Vec::new();
    if let Some((name, own)) = split_service_host(&service.host) {
        names.push(format!("{name}.{own}.svc"));
        names.push(format!("{name}.{own}"));
        if own == namespace {
            names.push(name.to_owned());
        }
    }
    names.extend(service.addresses.iter().map(|address| match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    }));
    names
        .iter()
        .flat_map(|name| with_port(name, port))
        .collect()
}

/// The names that two hosts (each `*`, `*.x` or a name) have in common.
pub(super) fn intersection<'h>(left: &'h str, right: &'h str) -> Option<&'h str> {
    if covers(left, right) {
        Some(right)
    } else if covers(right, left) {
        Some(left)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{VirtualHosts, intersection};
    use ringmain_config::route::VirtualHost;

    #[test]
    fn intersections() {
        for (left, right, expected) in [
            ("*", "a.x", Some("a.x")),
            ("a.x", "*", Some("a.x")),
            ("*.x", "a.x", Some("a.x")),
            ("*.x", "*.b.x", Some("*.b.x")),
            ("*.x", "*.y", None),
            ("a.x", "a.x", Some("a.x")),
            ("a.x", "b.x", None),
            ("*.x", "x", None),
        ] {
            assert_eq!(intersection(left, right), expected, "{left} {right}");
            assert_eq!(intersection(right, left), expected, "{right} {left}");
        }
    }

    #[test]
    fn a_short_form_gives_way_to_a_name() {
        let host = |name: &str, domains: &[&str]| VirtualHost {
            name: name.to_owned(),
            domains: domains.iter().map(ToString::to_string).collect(),
            routes: vec![],
            origin: None,
        };
        let mut hosts = VirtualHosts::default();
        hosts.push(host("first", &["a.b.svc"]), vec!["a.b".into(), "a".into()]);
        hosts.push(host("second", &["a.b"]), vec!["a".into()]);
        hosts.push(host("third", &["a.b"]), vec![]);
        let domains: Vec<_> = hosts
            .finish()
            .into_iter()
            .map(|host| (host.name, host.domains.join(" ")))
            .collect();
        let expected = [("first", "a.b.svc a"), ("second", "a.b")];
        assert_eq!(
            domains,
            expected.map(|(name, domains)| (name.to_owned(), domains.to_owned()))
        );
    }
}
