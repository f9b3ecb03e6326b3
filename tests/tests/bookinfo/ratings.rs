//! Where ratings come from, and what Jason gets instead.

use std::{
    thread,
    time::{Duration, Instant},
};

use ringmain_tests::shop::{Asked, Shop};

use crate::{
    JASON, OTHERS,
    claim::{Claim, RATINGS, REVIEWS, check},
    json,
    reviews::{Stars, shown_by, stars},
};

/// A version of ratings that asks a database.
struct Kept {
    version: &'static str,
    /// Number of its addresses.
    host: u8,
    database: &'static str,
    /// As `explain` takes it.
    url: &'static str,
    /// How many it has for each review.
    stars: u64,
    /// Number of the addresses of the database, if it has a proxy.
    proxy: Option<u8>,
}

const KEPT: [(&str, Kept); 3] = [
    (
        "ratings-of-a-database",
        Kept {
            version: "v2",
            host: 8,
            database: "mongodb.default.svc.cluster.local",
            url: "tcp://mongodb:27017",
            stars: 1,
            proxy: Some(12),
        },
    ),
    (
        "ratings-of-mysql",
        Kept {
            version: "v2-mysql",
            host: 9,
            database: "mysqldb.default.svc.cluster.local",
            url: "tcp://mysqldb:3306",
            stars: 2,
            proxy: Some(13),
        },
    ),
    (
        "ratings-of-mysql-elsewhere",
        Kept {
            version: "v2-mysql-vm",
            host: 11,
            database: "mysql.elsewhere.example",
            url: "tcp://mysql.elsewhere.example:3306",
            stars: 3,
            proxy: None,
        },
    ),
];

pub(crate) fn come_from_databases(shop: &mut Shop) {
    for (folder, kept) in &KEPT {
        shop.apply(&[folder]);
        let asked = [JASON, None].map(|user| {
            let asked = shop.ask("/api/v1/products/0/reviews", user);
            assert_eq!(stars(&asked), Stars::Red(kept.stars), "{shop}");
            (user, asked)
        });
        for (user, asked) in &asked {
            let claim = |call, rule, to| Claim {
                asked,
                user: *user,
                call,
                rule,
                to,
                verdict: "200 -",
            };
            let version = [(kept.version, 100)];
            let claims = [
                claim(REVIEWS, "stars", &[("v3", 100)]),
                claim(RATINGS, "kept", &version),
            ];
            check(shop, &claims);
        }
        carried_over_tcp(shop, kept);
    }
}

/// What is said to the database is carried by its proxies and looked at by none.
fn carried_over_tcp(shop: &Shop, kept: &Kept) {
    let from = format!("ratings-{}", kept.version);
    let explained = shop.explain(["--from", &from], &[kept.url], None);
    let is_named = explained.decided.starts_with("databases.yaml:");
    assert!(is_named, "{shop}: {explained:?}");
    let opened = |host, reporter| {
        let labels = [
            ("reporter", reporter),
            ("request_protocol", "tcp"),
            ("destination_service", kept.database),
        ];
        let metrics = shop.metrics(host);
        metrics.sum("istio_tcp_connections_opened_total", &labels)
    };
    assert!(opened(kept.host, "source") > 0, "{shop}");
    if let Some(proxy) = kept.proxy {
        assert!(opened(proxy, "destination") > 0, "{shop}");
    }
}

/// Those of others, beside the stars of whom nothing is to be seen of the rule.
fn of_others(shop: &Shop) -> [(Option<&'static str>, Asked); 3] {
    OTHERS.map(|user| {
        let asked = shop.ask("/api/v1/products/0/reviews", user);
        assert_eq!(stars(&asked), shown_by("v3"), "{shop}: {user:?}");
        (user, asked)
    })
}

fn claim<'a>(
    asked: &'a Asked,
    user: Option<&'a str>,
    rule: &'a str,
    verdict: &'a str,
) -> Claim<'a> {
    Claim {
        asked,
        user,
        call: RATINGS,
        rule,
        to: &[("v1", 100)],
        verdict,
    }
}

pub(crate) fn are_aborted_for_jason(shop: &mut Shop) {
    shop.apply(&["ratings-aborted-for-jason", "reviews-v3"]);
    let jason = shop.ask("/api/v1/products/0/reviews", JASON);
    let failed = "ratings: status 500 Internal Server Error";
    assert_eq!(stars(&jason), Stars::Failed(failed.to_owned()), "{shop}");
    let others = of_others(shop);
    check(shop, &[claim(&jason, JASON, "jason", "500 FI")]);
    let others = others.each_ref();
    check(
        shop,
        &others.map(|(user, asked)| claim(asked, *user, "others", "200 -")),
    );
}

/// As the rule says.
const DELAY: Duration = Duration::from_secs(7);
/// For as long an application of the shop waits for another.
const PATIENCE: Duration = Duration::from_secs(3);

/// Measured from below: how much later than that a busy machine answers is anybody's guess.
pub(crate) fn are_delayed_for_jason(shop: &mut Shop) {
    shop.apply(&["ratings-delayed-for-jason", "reviews-v3"]);
    let rule = shop.read("mesh/ratings.yaml");
    let delay = format!("fixedDelay: {}s", DELAY.as_secs());
    assert!(rule.contains(&delay), "{rule}");
    let shop = &*shop;
    // As the application of reviews-v3, but for as long as it takes.
    let patient = || shop.call(shop.outbound(5), "ratings:9080", "/ratings/0", JASON);
    let page = || shop.ask("/productpage", JASON);
    thread::scope(|scope| {
        let patient = scope.spawn(|| timed(patient));
        let page = scope.spawn(|| timed(page));
        let others = of_others(shop);
        let others = others.each_ref();
        check(
            shop,
            &others.map(|(user, asked)| claim(asked, *user, "others", "200 -")),
        );
        let (asked, took) = page.join().unwrap();
        assert!(took >= PATIENCE, "{shop}: the page took {took:?}");
        let text = asked.answer.text();
        let given_up = format!("no answer within {PATIENCE:?}");
        assert!(text.contains(&given_up), "{shop}: {text}");
        let (asked, took) = patient.join().unwrap();
        assert!(took >= DELAY, "{shop}: an answer after {took:?}");
        assert_eq!(json(&asked)["ratings"]["Reviewer1"], 5, "{shop}");
        check(shop, &[claim(&asked, JASON, "jason", "200 DI")]);
        let logged = shop.logged(RATINGS.by, &asked, RATINGS.service);
        let millis = u128::from(logged.number("duration"));
        assert!(millis >= DELAY.as_millis(), "{shop}: {}", logged.text);
    });
}

fn timed(ask: impl FnOnce() -> Asked) -> (Asked, Duration) {
    let start = Instant::now();
    let asked = ask();
    (asked, start.elapsed())
}
