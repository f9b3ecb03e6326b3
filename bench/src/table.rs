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
    /// Ten times as many, for changes of configuration.
    pub const HUGE: Self = Self {
        hosts: 1000,
        routes: 10,
    };
    /// One route that takes every host and path.
    pub const SMALL: Self = Self {
        hosts: 1,
        routes: 1,
    };

    /// What haproxy's frontend chooses by: `map` is the file of [`Self::haproxy_map`].
    pub fn haproxy_choice(self, map: &str) -> String {
        if self == Self::SMALL {
            return "default_backend origin".to_owned();
        }
        format!("use_backend %[base,map_beg({map},nothing)]")
    }

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

    /// As nginx's servers, which forward to its upstream `origin`.
    pub fn nginx_servers(self, port: u16) -> String {
        let mut text = String::new();
        let listen = format!("listen 127.0.0.1:{port} reuseport backlog=4096");
        if self == Self::SMALL {
            let _ = writeln!(
                text,
                "  server {{ {listen}; location / {{ proxy_pass http://origin; }} }}"
            );
            return text;
        }
        for host in 0..self.hosts {
            // Options of a socket are said once.
            let listen = if host == 0 {
                listen.clone()
            } else {
                format!("listen 127.0.0.1:{port}")
            };
            let _ = writeln!(
                text,
                "  server {{\n    {listen};\n    server_name host-{host}.example;"
            );
            for route in 0..self.routes {
                let _ = writeln!(
                    text,
                    "    location /route-{route}/ {{ proxy_pass http://origin; }}"
                );
            }
            text.push_str("  }\n");
        }
        text
    }

    /// As Envoy's virtual hosts, which forward to its cluster `origin`.
    pub fn envoy_virtual_hosts(self) -> String {
        if self == Self::SMALL {
            let all = "{ name: all, domains: [\"*\"], routes: [{ match: { prefix: \"/\" }, \
                       route: { cluster: origin, timeout: 0s } }] }";
            return format!("            - {all}");
        }
        let mut text = String::new();
        for host in 0..self.hosts {
            let _ = write!(
                text,
                "            - name: host-{host}\n              \
                 domains: [host-{host}.example]\n              \
                 routes:\n"
            );
            for route in 0..self.routes {
                let _ = writeln!(
                    text,
                    "              - {{ match: {{ prefix: /route-{route}/ }}, \
                     route: {{ cluster: origin, timeout: 0s }} }}"
                );
            }
        }
        text
    }

    /// As one VirtualService for each host. Answers carry `generation` in a header field, so that
    /// a client can tell which version of the table served it.
    pub fn virtual_services(self, generation: Option<u32>) -> String {
        let mut yaml = String::new();
        if self == Self::SMALL {
            return "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  \
                    name: all\nspec:\n  hosts: [\"*\"]\n  gateways: [gateway]\n  http:\n  - name: \
                    all\n    route:\n    - destination: { host: origin.internal }\n"
                .to_owned();
        }
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
                    "  - name: route-{route}\n    match:\n    \
                     - uri: {{ prefix: /route-{route}/ }}\n    \
                     route:\n    - destination: {{ host: origin.internal }}\n"
                );
                if let Some(generation) = generation {
                    let _ = write!(
                        yaml,
                        "    headers:\n      response:\n        \
                         set: {{ {GENERATION}: \"{generation}\" }}\n"
                    );
                }
            }
        }
        yaml
    }

    /// Host and path of the `number`th route, from host to host first.
    pub fn address(self, number: u32) -> (String, String) {
        let host = number % self.hosts;
        let route = number / self.hosts % self.routes;
        (
            format!("host-{host}.example"),
            format!("/route-{route}/items/42"),
        )
    }

    /// A request to the `number`th route.
    pub fn request(self, number: u32) -> Vec<u8> {
        let (host, path) = self.address(number);
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
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
        let nginx = table.nginx_servers(80);
        assert_eq!(nginx.matches("server_name").count(), 2);
        assert_eq!(nginx.matches("location").count(), 6);
        assert_eq!(nginx.matches("reuseport").count(), 1);
        let envoy = table.envoy_virtual_hosts();
        assert_eq!(envoy.matches("domains").count(), 2);
        assert_eq!(envoy.matches("prefix").count(), 6);
        assert!(table.haproxy_choice("/m").contains("map_beg(/m,nothing)"));
        let yaml = table.virtual_services(Some(7));
        assert_eq!(yaml.matches("kind: VirtualService").count(), 2);
        assert_eq!(yaml.matches("prefix:").count(), 6);
        assert_eq!(yaml.matches("x-generation: \"7\"").count(), 6);
        assert!(!table.virtual_services(None).contains("x-generation"));
        let requests: std::collections::HashSet<_> = (0..6).map(|n| table.request(n)).collect();
        assert_eq!(requests.len(), 6);
        assert_eq!(table.request(6), table.request(0));
    }

    #[test]
    fn one_route_takes_everything() {
        let small = Table::SMALL;
        assert_eq!(small.haproxy_choice("/m"), "default_backend origin");
        assert!(small.nginx_servers(80).contains("location / "));
        assert!(small.envoy_virtual_hosts().contains("domains: [\"*\"]"));
        assert!(small.virtual_services(None).contains("hosts: [\"*\"]"));
    }
}
