//! All that is decided and written for one request and its answer, as the data plane asks for it.

use std::hint::black_box;

use ringmain_core::{
    balance::{POLICIES, State},
    http1::{Limits, MethodKind, RequestHead, ResponseHead},
    route::{Decision, Request},
    snapshot::Snapshot,
    target,
};

use super::{Run, http1};
use crate::document;

/// A gateway with 100 hosts of ten prefixes each, in front of ten endpoints.
struct Proxy {
    snapshot: Snapshot,
    balancer: State,
    request: RequestHead,
    response: ResponseHead,
    out: Vec<u8>,
}

pub(super) fn exchange(request: &'static str, answer: &'static str) -> Run {
    let mut proxy = Proxy::new();
    let (request, answer) = (http1::received(request), http1::received(answer));
    Box::new(move |times| {
        for _ in 0..times {
            proxy.forward(black_box(&request));
            proxy.answer(black_box(&answer));
        }
    })
}

impl Proxy {
    fn new() -> Self {
        let addresses: Vec<String> = (1..=10).map(|last| format!("10.0.0.{last}:80")).collect();
        let endpoints: Vec<(&str, u32)> = addresses.iter().map(|text| (&**text, 1)).collect();
        let mut hosts = super::hosts::virtual_hosts(100);
        let any = document::route("any", document::prefix("/"));
        hosts.push(document::virtual_host(
            "bookinfo",
            &["bookinfo.example"],
            vec![any],
        ));
        let parts = [
            document::listener("l", "127.0.0.1:80", "t"),
            document::table("t", hosts),
        ];
        let parts = parts.into_iter().chain(document::cluster("c", &endpoints));
        Self {
            snapshot: document::compile(&document::document(parts)),
            balancer: State::new(POLICIES[0]),
            request: RequestHead::new(),
            response: ResponseHead::new(),
            out: Vec::new(),
        }
    }

    fn forward(&mut self, bytes: &[u8]) {
        let decoded = self.request.decode(bytes, &Limits::default());
        assert_eq!(decoded, Ok(Some(bytes.len())));
        let head = &self.request;
        let path = head.canonical_path(bytes).unwrap();
        let headers = head.view(bytes);
        let request = Request {
            method: head.method(bytes),
            scheme: "http",
            authority: head.authority(bytes),
            path: &path,
            query: head.query(bytes),
            headers: &headers,
            listener_port: 80,
        };
        let table = self.snapshot.route_table_named("t").unwrap();
        let Decision::Forward {
            route,
            forward,
            destination,
            ..
        } = table.decide(&request, 0)
        else {
            unreachable!("every request has a route");
        };
        let sent = target::path(route, forward, &path).unwrap();
        let authority = target::authority(route, forward, destination, request.authority);
        self.out.clear();
        let target = match request.query {
            None => sent,
            Some(_) => head.path_and_query(bytes),
        };
        http1::forward(&mut self.out, head, bytes, &target, authority);
        let entry = self.snapshot.cluster(destination.cluster).unwrap();
        let mut random = || 0x9e37_79b9_7f4a_7c15;
        let picked = self
            .balancer
            .pick(&entry.endpoints, Some(1), |_| 0, |_| false, &mut random);
        black_box((picked, route.timeout, &self.out));
    }

    fn answer(&mut self, bytes: &[u8]) {
        let method = MethodKind::Other;
        let decoded = self.response.decode(bytes, &Limits::default(), method);
        assert_eq!(decoded, Ok(Some(bytes.len())));
        self.out.clear();
        http1::answer(&mut self.out, &self.response, bytes);
        black_box(&self.out);
    }
}
