//! Which version of reviews is asked: by weight, by lot, by user.

use std::{collections::BTreeMap, thread};

use ringmain_tests::{
    client::Client,
    shop::{Asked, Shop},
};
use serde_json::Value;

use crate::{
    JASON, OTHERS,
    claim::{Claim, REVIEWS, Shares, check},
    json,
};

/// What stands beside reviews: how many stars, of which colour, or why there are none.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stars {
    None,
    Black(u64),
    Red(u64),
    Failed(String),
}

/// Of the first review.
#[track_caller]
pub(crate) fn stars(asked: &Asked) -> Stars {
    stars_of(&json(asked))
}

fn stars_of(reviews: &Value) -> Stars {
    let rating = &reviews["reviews"][0]["rating"];
    let count = rating["stars"].as_u64();
    match (rating["color"].as_str(), count, rating["error"].as_str()) {
        (None, None, None) => Stars::None,
        (Some("black"), Some(count), None) => Stars::Black(count),
        (Some("red"), Some(count), None) => Stars::Red(count),
        (None, None, Some(error)) => Stars::Failed(error.to_owned()),
        _ => panic!("{reviews}"),
    }
}

/// With the first version of ratings, which knows of 5 stars.
pub(crate) fn shown_by(version: &str) -> Stars {
    match version {
        "v1" => Stars::None,
        "v2" => Stars::Black(5),
        "v3" => Stars::Red(5),
        other => panic!("there is no {other} of reviews"),
    }
}

pub(crate) fn are_shared_by_weight(shop: &mut Shop) {
    for (folder, rule, shares) in [
        ("reviews-v3", "red", &[("v3", 100)][..]),
        ("reviews-v1-80-v2-20", "shared", &[("v1", 80), ("v2", 20)]),
        ("reviews-v1-90-v2-10", "shared", &[("v1", 90), ("v2", 10)]),
        ("reviews-v1-50-v3-50", "shared", &[("v1", 50), ("v3", 50)]),
        ("reviews-v2-50-v3-50", "shared", &[("v2", 50), ("v3", 50)]),
    ] {
        shop.apply(&[folder]);
        let asked = shop.ask("/api/v1/products/0/reviews", JASON);
        judge(shop, shares);
        let claim = Claim {
            asked: &asked,
            user: JASON,
            call: REVIEWS,
            rule,
            to: shares,
            verdict: "200 -",
        };
        check(shop, &[claim]);
    }
}

pub(crate) fn are_drawn_by_lot(shop: &mut Shop) {
    shop.apply(&["reviews-at-random"]);
    let asked = shop.ask("/api/v1/products/0/reviews", None);
    judge(shop, &[("v1", 1), ("v2", 1), ("v3", 1)]);
    let claim = Claim {
        asked: &asked,
        user: None,
        call: REVIEWS,
        rule: "any",
        to: &[("", 100)],
        verdict: "200 -",
    };
    check(shop, &[claim]);
}

/// Requests to judge shares by, over so many connections.
const REQUESTS: usize = 1000;
const CONNECTIONS: usize = 4;
/// Numbers of requests may be off by so many standard deviations. A fair draw with the shares and
/// the number of requests here goes beyond less often than once in a million times.
const DEVIATIONS: f64 = 6.0;

#[track_caller]
fn judge(shop: &Shop, shares: Shares<'_>) {
    let seen = sample(shop);
    let all: u32 = shares.iter().map(|(_, share)| share).sum();
    let mut counted = 0;
    for (version, share) in shares {
        let count = seen.get(&shown_by(version)).copied().unwrap_or(0);
        let (requests, share) = (REQUESTS as f64, f64::from(*share) / f64::from(all));
        let off = (count as f64 - share * requests).abs();
        let allowed = DEVIATIONS * (requests * share * (1.0 - share)).sqrt();
        assert!(off <= allowed, "{shop}: {version} got {count}: {seen:?}");
        counted += count;
    }
    assert_eq!(counted, REQUESTS, "{shop}: others got some: {seen:?}");
}

/// How often reviews looked how.
fn sample(shop: &Shop) -> BTreeMap<Stars, usize> {
    let gateway = shop.gateway;
    let ask = move || {
        let mut client = Client::connect(gateway);
        let answers = (0..REQUESTS / CONNECTIONS).map(|_| {
            let answer = client.get("/api/v1/products/0/reviews");
            assert_eq!(answer.status(), 200, "{answer:?}");
            stars_of(&serde_json::from_slice(&answer.body).unwrap())
        });
        answers.collect::<Vec<_>>()
    };
    let threads: Vec<_> = (0..CONNECTIONS).map(|_| thread::spawn(ask)).collect();
    let mut seen = BTreeMap::new();
    for thread in threads {
        for stars in thread.join().unwrap() {
            *seen.entry(stars).or_default() += 1;
        }
    }
    seen
}

pub(crate) fn are_chosen_by_user(shop: &mut Shop) {
    for (folder, other) in [
        ("reviews-v2-for-jason", "v1"),
        ("reviews-v2-for-jason-else-v3", "v3"),
    ] {
        shop.apply(&[folder]);
        let ask = |user, version: &str| {
            let mut asked = None;
            for _ in 0..10 {
                let request = shop.ask("/api/v1/products/0/reviews", user);
                assert_eq!(stars(&request), shown_by(version), "{shop}: {user:?}");
                asked = Some(request);
            }
            asked.unwrap()
        };
        let jason = ask(JASON, "v2");
        let others = OTHERS.map(|user| (user, ask(user, other)));
        let claim = |asked, user, rule, to| Claim {
            asked,
            user,
            call: REVIEWS,
            rule,
            to,
            verdict: "200 -",
        };
        check(shop, &[claim(&jason, JASON, "jason", &[("v2", 100)])]);
        let to = &[(other, 100)];
        let others = others.each_ref();
        check(
            shop,
            &others.map(|(user, asked)| claim(asked, *user, "others", to)),
        );
    }
}
