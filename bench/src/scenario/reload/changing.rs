//! What changes, and how to see that it did.

use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};

use crate::{
    client::{Connection, fetch},
    load::What,
    peer::ringmain::{ROUTES, Ringmain},
    table::{GENERATION, Table},
};

/// A configuration, and how it changes.
pub(super) trait Changing {
    /// Name of the case in results.
    fn case(&self) -> &'static str;

    /// What the proxy carries.
    fn table(&self) -> Table;

    /// Files of resources beside those of the table, before the first change.
    fn files(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What is sent meanwhile.
    fn load(&self) -> What;

    /// The file that the `number`th change replaces, and what it has then.
    fn file(&self, number: u32) -> (&'static str, String);

    /// After a change: asks whether it is served. How many requests that were.
    ///
    /// # Errors
    /// When it is not.
    fn verify(&self, _number: u32, _ringmain: &Ringmain) -> Result<u32> {
        Ok(0)
    }

    /// After the last change of several, and the load if there was any: whether it is there.
    ///
    /// # Errors
    /// When it is not.
    fn verify_last(&self, _number: u32, _ringmain: &Ringmain) -> Result<()> {
        Ok(())
    }
}

/// Every route differs from one version of the file to the next.
pub(super) struct Routes {
    pub(super) case: &'static str,
    pub(super) table: Table,
}

impl Changing for Routes {
    fn case(&self) -> &'static str {
        self.case
    }

    fn table(&self) -> Table {
        self.table
    }

    fn load(&self) -> What {
        // The first routes of either table.
        What::Table(Table::LARGE)
    }

    fn file(&self, number: u32) -> (&'static str, String) {
        (ROUTES, self.table.virtual_services(Some(number)))
    }

    fn verify(&self, number: u32, ringmain: &Ringmain) -> Result<u32> {
        let mut connection = Connection::open(ringmain.proxy.address)?;
        let answer = connection.ask(&self.table.request(number))?;
        let seen = answer.header(GENERATION).context("no generation")?;
        if seen != number.to_string() {
            bail!("generation {number} is said to be applied, but {seen} is served");
        }
        Ok(1)
    }
}

/// One workload among many gets another address. None of them is there: the load goes elsewhere.
pub(super) struct OneEndpoint;

const SERVICES: u32 = 100;
const ENDPOINTS: u32 = 1000;
const WORKLOAD: &str = "workload.yaml";

impl Changing for OneEndpoint {
    fn case(&self) -> &'static str {
        "1 of 100000 endpoints"
    }

    fn table(&self) -> Table {
        Table::SMALL
    }

    fn files(&self) -> Vec<(&'static str, String)> {
        vec![("services.yaml", services()), (WORKLOAD, changed(0))]
    }

    fn load(&self) -> What {
        What::Get("/bytes/100")
    }

    fn file(&self, number: u32) -> (&'static str, String) {
        (WORKLOAD, changed(number))
    }

    fn verify_last(&self, number: u32, ringmain: &Ringmain) -> Result<()> {
        let clusters = fetch(ringmain.admin, "/clusters")?;
        let (last, before) = (moving_address(number), moving_address(number - 1));
        let has = |address: &str| clusters.contains(&format!("{address}:"));
        ensure!(
            has(&last) && !has(&before),
            "{last} is said to be in use instead of {before}, but /clusters does not say so"
        );
        Ok(())
    }
}

/// Of the workload that changes.
fn moving_address(number: u32) -> String {
    format!("10.200.{}.{}", number / 250, number % 250 + 1)
}

fn changed(number: u32) -> String {
    workload("moving", &moving_address(number))
}

/// One of the first service.
fn workload(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\n\
         metadata: {{ name: {name} }}\n\
         spec: {{ address: {address}, labels: {{ app: service-0 }} }}\n"
    )
}

/// All services with routes to them, and all endpoints but the one that changes: the first service
/// selects workloads, the others list addresses.
fn services() -> String {
    let mut yaml = String::new();
    let address = |service: u32, endpoint: u32| {
        format!("10.{service}.{}.{}", endpoint / 250, endpoint % 250 + 1)
    };
    for service in 0..SERVICES {
        let _ = write!(
            yaml,
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n\
             metadata: {{ name: service-{service} }}\n\
             spec:\n  hosts: [service-{service}.example]\n  \
             gateways: [gateway]\n  http:\n  - route:\n    \
             - destination: {{ host: service-{service}.internal }}\n\
             ---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
             metadata: {{ name: service-{service} }}\n\
             spec:\n  hosts: [service-{service}.internal]\n  \
             location: MESH_INTERNAL\n  resolution: STATIC\n  \
             ports: [{{ number: 80, name: http, protocol: HTTP }}]\n"
        );
        if service == 0 {
            yaml.push_str("  workloadSelector: { labels: { app: service-0 } }\n");
            continue;
        }
        yaml.push_str("  endpoints:\n");
        for endpoint in 0..ENDPOINTS {
            let _ = writeln!(yaml, "  - address: {}", address(service, endpoint));
        }
    }
    for endpoint in 1..ENDPOINTS {
        yaml.push_str(&workload(
            &format!("workload-{endpoint}"),
            &address(0, endpoint),
        ));
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::{Changing, OneEndpoint, Routes};
    use crate::table::Table;

    #[test]
    fn all_endpoints_are_there() {
        let files = OneEndpoint.files();
        let all: String = files.iter().map(|(_, content)| &**content).collect();
        assert_eq!(all.matches("address: ").count(), 100_000);
        assert_eq!(all.matches("kind: ServiceEntry").count(), 100);
    }

    #[test]
    fn changes_differ() {
        let table = Table::LARGE;
        let routes = Routes { case: "", table };
        let cases: [&dyn Changing; 2] = [&routes, &OneEndpoint];
        for case in cases {
            assert_ne!(case.file(1), case.file(2));
            assert_eq!(case.file(1).0, case.file(2).0);
        }
    }
}
