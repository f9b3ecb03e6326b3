//! Who is asked outside of the mesh, and what is not done about it as long as it is not supported.

use ringmain_tests::{binary, shop::Shop};

use crate::{claim::line_of_rule, json};

/// Asked in the place of the application of details-v2, through its proxy.
pub(crate) fn is_asked_at_another_port(shop: &mut Shop) {
    let mut proxy = shop.outbound(7);
    proxy.set_port(8090);
    let ask = |shop: &Shop| shop.call(proxy, "books.example:8090", "/details/0", None);

    shop.apply(&[]);
    let asked = ask(shop);
    assert_eq!(asked.answer.status(), 503, "nobody is there");
    let logged = shop.logged("details-v2", &asked, "books.example");
    let cluster = logged.get("upstream_cluster");
    assert_eq!(cluster, "outbound|8090||books.example");

    shop.apply(&["books-at-another-port"]);
    let asked = ask(shop);
    assert_eq!(json(&asked)["type"], "paperback", "{shop}");
    let logged = shop.logged("details-v2", &asked, "books.example");
    let cluster = logged.get("upstream_cluster");
    assert_eq!(cluster, "outbound|8443||books.example", "{shop}");
    assert_eq!(logged.get("route_name"), "other-port", "{shop}");
    let subject = ["GET", "http://books.example:8090/details/0"];
    let explained = shop.explain(["--from", "details-v2"], &subject, None);
    let line = line_of_rule(&shop.read("mesh/books.yaml"), "other-port");
    assert_eq!(explained.decided, format!("books.yaml:{line}"), "{shop}");
    let leads_to = &explained.json["outcome"]["forward"][0]["cluster"];
    assert_eq!(leads_to, cluster, "{shop}");
}

/// What needs identities, which workloads do not have yet, is an error: nothing goes in plain text
/// in silence that was to be encrypted.
#[test]
fn tls_that_is_asked_for_is_not_left_out_quietly() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("policy.yaml");
    let policy = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: all}\nspec:\n  mtls: {mode: STRICT}\n";
    std::fs::write(&file, policy).unwrap();
    let file = file.to_str().unwrap();
    let place = "5:16: error: PeerAuthentication default/all > spec.mtls.mode";
    let expected = format!("{file}:{place}: STRICT is not supported yet");
    let (code, said, _) = binary::run(["check", file]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains(&expected), "{said}");
}
