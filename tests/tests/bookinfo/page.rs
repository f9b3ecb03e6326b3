//! The way to the page, and the details on it.

use ringmain_tests::{client::Client, shop::Shop};

use crate::{
    JASON,
    claim::{Call, Claim, DETAILS, RATINGS, REVIEWS, check, line_of},
    json,
    reviews::{Stars, stars},
};

pub(crate) fn the_gateway_leads_to_the_page_alone(shop: &Shop) {
    for (path, status, matched) in [
        ("/productpage", 200, "exact: /productpage"),
        ("/productpage/", 404, ""),
        ("/static/style.css", 200, "prefix: /static"),
        ("/login", 405, "exact: /login"),
        ("/logout", 303, "exact: /logout"),
        ("/api/v1/products", 200, "prefix: /api/v1/products"),
        ("/", 404, ""),
        ("/reviews/0", 404, ""),
        ("/health", 404, ""),
    ] {
        let asked = shop.ask(path, None);
        assert_eq!(asked.answer.status(), status, "{path}");
        let url = format!("http://shop.example:{}{path}", shop.gateway.port());
        let explained = shop.explain(["--gateway", "bookinfo"], &["GET", &url], None);
        if matched.is_empty() {
            let refused = &explained.json["outcome"]["refused"];
            assert_eq!(refused["flag"], "NR", "{path}: {refused}");
        } else {
            let line = line_of(&shop.read("mesh/gateway.yaml"), matched) - 1;
            assert_eq!(explained.decided, format!("gateway.yaml:{line}"), "{path}");
        }
    }
    let form = "username=jason";
    let answer = Client::connect(shop.gateway).exchange(format!(
        "POST /login HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{form}",
        form.len()
    ));
    assert_eq!(answer.status(), 303);
    let cookie = answer.get("set-cookie").unwrap();
    assert!(cookie.starts_with("user=jason;"), "{cookie}");
}

pub(crate) fn everything_comes_from_v1(shop: &mut Shop) {
    shop.apply(&["everything-v1"]);
    let page_for_ratings = Call {
        by: "productpage-v1",
        ..RATINGS
    };
    let asked = [JASON, None].map(|user| {
        let reviews = shop.ask("/api/v1/products/0/reviews", user);
        assert_eq!(stars(&reviews), Stars::None, "{shop}");
        let details = shop.ask("/api/v1/products/0", user);
        assert_eq!(json(&details)["type"], "paperback", "{shop}");
        let ratings = shop.ask("/api/v1/products/0/ratings", user);
        assert_eq!(json(&ratings)["ratings"]["Reviewer2"], 4, "{shop}");
        let calls = [
            (reviews, REVIEWS),
            (details, DETAILS),
            (ratings, page_for_ratings),
        ];
        (user, calls)
    });
    for (user, calls) in &asked {
        let claims = calls.iter().map(|(asked, call)| Claim {
            asked,
            user: *user,
            call: *call,
            rule: "first",
            to: &[("v1", 100)],
            verdict: "200 -",
        });
        check(shop, &claims.collect::<Vec<_>>());
    }
}

pub(crate) fn details_come_from_another_version(shop: &mut Shop) {
    shop.apply(&["details-v2"]);
    let asked = [JASON, None].map(|user| {
        let asked = shop.ask("/api/v1/products/0", user);
        assert_eq!(json(&asked)["type"], "electronic", "{shop}");
        (user, asked)
    });
    let claims = asked.each_ref().map(|(user, asked)| Claim {
        asked,
        user: *user,
        call: DETAILS,
        rule: "other",
        to: &[("v2", 100)],
        verdict: "200 -",
    });
    check(shop, &claims);
}

pub(crate) fn details_are_aborted(shop: &mut Shop) {
    shop.apply(&["details-aborted"]);
    let asked = [JASON, None].map(|user| {
        let asked = shop.ask("/api/v1/products/0", user);
        assert_eq!(asked.answer.status(), 555, "{shop}");
        let page = shop.ask("/productpage", user);
        assert_eq!(page.answer.status(), 200, "{shop}");
        let text = page.answer.text();
        let refusal = "details cannot be shown: status 555<";
        assert!(text.contains(refusal), "{shop}: {text}");
        assert!(text.contains("Best read aloud"), "{shop}: {text}");
        (user, asked)
    });
    let claims = asked.each_ref().map(|(user, asked)| Claim {
        asked,
        user: *user,
        call: DETAILS,
        rule: "broken",
        to: &[("v1", 100)],
        verdict: "555 FI",
    });
    check(shop, &claims);
}
