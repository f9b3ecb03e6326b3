//! Messages that are not HTTP/1.1 as it should be, or that two parsers could read differently: what
//! the sender gets, whether its connection stays, and what the other side sees of it.
//!
//! The tables of requests are in `lines`, `fields`, `framing` and `chunks`, those of answers in
//! `answers`; `requests` and `responses` hold them against the built binary. The fuzz targets of
//! `tests/fuzz` begin with the same tables.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to stop")]

mod answers;
mod case;
mod chunks;
mod fields;
mod framing;
mod limits;
mod lines;
mod requests;
mod responses;
mod splitting;

use ringmain_tests::on_both;

use self::{limits::*, requests::*, responses::*, splitting::*};

on_both!(
    tables_of_requests,
    chunks_behind_what_was_forwarded,
    requests_that_end_too_early,
    a_refusal_in_a_pipeline,
    limits_of_the_tuning_file,
    nothing_but_a_connection,
    a_head_cut_off,
    a_refused_request_is_logged_without_forgery,
    a_refused_request_is_logged_with_its_path,
    tables_of_answers,
    redirects_do_not_split,
    rewrites_do_not_split,
    edits_do_not_split,
);

/// What is claimed of the tables holds for as long as they are this long.
#[test]
fn tables_are_long() {
    let requests = tables().iter().map(Vec::len).sum::<usize>();
    assert!(requests >= 400, "{requests} requests");
    let answers = answers::all().len();
    assert!(answers >= 100, "{answers} answers");
}
