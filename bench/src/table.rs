//! The routes that every proxy is given: so many hosts, so many path prefixes on each.

use std::fmt::Write;

/// A table of routes. All lead to the same origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Virtual hosts.
    pub hosts: u32,
    /// Prefixes of each.
    pub routes: u32,
}

impl Table {
    /// What the figures to reach are stated for.
    pub const LARGE: Self = Self {
        hosts: 100,
        routes: 10,
    };
    /// The least there can be.
    pub const SMALL: Self = Self {
        hosts: 1,
        routes: 1,
    };

    /// As a file of haproxy's `map_beg`: the beginning of host and path, then the backend.
    pub fn haproxy_map(self) -> String {
        let mut map = String::new();
        for host in 0..self.hosts {
            for route in 0..self.routes {
                let _ = writeln!(map, "host-{host}.example/route-{route}/ origin");
            }
        }
        map
    }

    /// As one VirtualService for each host. Answers carry `generation` in a header field, so that
    /// a client can tell which version of the table served it.
    pub fn virtual_services(self, generation: Option<u32>) -> String {
        let mut yaml = String::new();
        for host in 0..self.hosts {
            let _ = write!(
                yaml,
                "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
                 metadata:\n  name: host-{host}\nspec:\n  hosts: [host-{host}.example]\n  \
                 gateways: [gateway]\n  http:\n"
            );
            for route in 0..self.routes {
                let _ = write!(
                    yaml,
                    "  - name: route-{route}\n    match:\n    - uri: {{ prefix: /route-{route}/ }}\n    \
                     route:\n    - destination: {{ host: origin.internal }}\n"
                );
                if let Some(generation) = generation {
                    let _ = write!(
                        yaml,
                        "    headers:\n      response:\n        set: {{ {GENERATION}: \"{generation}\" }}\n"
                    );
                }
            }
        }
        yaml
    }

    /// A request to the `number`th route, from host to host first.
    pub fn request(self, number: u32) -> Vec<u8> {
        let host = number % self.hosts;
        let route = number / self.hosts % self.routes;
        format!("GET /route-{route}/items/42 HTTP/1.1\r\nHost: host-{host}.example\r\n\r\n")
            .into_bytes()
    }
}

/// The field that carries the table's generation.
pub const GENERATION: &str = "x-generation";

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn every_form_has_every_route() {
        let table = Table {
            hosts: 2,
            routes: 3,
        };
        let map = table.haproxy_map();
        assert_eq!(map.lines().count(), 6);
        assert!(map.ends_with("host-1.example/route-2/ origin\n"));
        let yaml = table.virtual_services(Some(7));
        assert_eq!(yaml.matches("kind: VirtualService").count(), 2);
        assert_eq!(yaml.matches("prefix:").count(), 6);
        assert_eq!(yaml.matches("x-generation: \"7\"").count(), 6);
        assert!(!table.virtual_services(None).contains("x-generation"));
        let requests: std::collections::HashSet<_> = (0..6).map(|n| table.request(n)).collect();
        assert_eq!(requests.len(), 6);
        assert_eq!(table.request(6), table.request(0));
    }
}
