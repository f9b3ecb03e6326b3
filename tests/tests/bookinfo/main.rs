//! The rules of `examples/bookinfo/routes`, in the demo's shop as its user tries them: each does by
//! traffic through the gateway and the sidecars what the name of its folder says, and
//! `ringmain explain` names the line that decides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod claim;
mod outside;
mod page;
mod ratings;
mod reviews;

use ringmain_tests::shop::{Asked, Shop};
use serde_json::Value;

/// One mesh for all of them: it is changed between two rules as its user would.
#[test]
fn rules_do_what_their_names_say() {
    let mut shop = Shop::open();
    page::the_gateway_leads_to_the_page_alone(&shop);
    page::everything_comes_from_v1(&mut shop);
    reviews::are_shared_by_weight(&mut shop);
    reviews::are_drawn_by_lot(&mut shop);
    reviews::are_chosen_by_user(&mut shop);
    ratings::come_from_databases(&mut shop);
    page::details_come_from_another_version(&mut shop);
    page::details_are_aborted(&mut shop);
    ratings::are_aborted_for_jason(&mut shop);
    ratings::are_delayed_for_jason(&mut shop);
    outside::is_asked_at_another_port(&mut shop);
    assert_eq!(*shop.tried(), shop.folders(), "a rule is not tried here");
    shop.close();
}

const JASON: Option<&str> = Some("jason");
/// Users are compared as they are written.
const OTHERS: [Option<&str>; 3] = [None, Some("anna"), Some("Jason")];

/// The answer of a service, which is there.
#[track_caller]
fn json(asked: &Asked) -> Value {
    assert_eq!(asked.answer.status(), 200, "{asked:?}");
    serde_json::from_slice(&asked.answer.body).unwrap()
}
