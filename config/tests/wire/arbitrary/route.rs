//! Route tables with every field in use now and then.

use proptest::{collection::vec, option, prelude::*};
use ringmain_config::{
    filter::{Abort, AbortWith, Cors, Delay, Fault, Filters, Mirror, Share},
    retry::{RetryOn, RetryPolicy},
    route::{
        Action, Destination, DirectResponse, Forward, HeaderEdits, HeaderMatch, HeaderValue,
        PathMatch, QueryMatch, Redirect, RedirectPath, RedirectPort, RegexRewrite, Rewrite, Route,
        RouteMatch, RouteTable, StringMatch, VirtualHost,
    },
};

use super::{duration, origin, text};

pub(super) fn route_table() -> impl Strategy<Value = RouteTable> {
    let host = (text(), vec(text(), 0..3), vec(route(), 0..2), origin()).prop_map(
        |(name, domains, routes, origin)| VirtualHost {
            name,
            domains,
            routes,
            origin,
        },
    );
    (text(), option::of(retry_policy()), vec(host, 0..2)).prop_map(
        |(name, retry, virtual_hosts)| RouteTable {
            name,
            retry,
            virtual_hosts,
        },
    )
}

fn retry_policy() -> BoxedStrategy<RetryPolicy> {
    let on = prop::sample::select(vec![
        RetryOn::ServerError,
        RetryOn::GatewayError,
        RetryOn::Reset,
        RetryOn::ResetBeforeRequest,
        RetryOn::StaleConnection,
        RetryOn::ConnectFailure,
        RetryOn::RefusedStream,
        RetryOn::Retriable4xx,
        RetryOn::RetriableStatusCodes,
        RetryOn::EnvoyRatelimited,
        RetryOn::Cancelled,
        RetryOn::DeadlineExceeded,
        RetryOn::Internal,
        RetryOn::ResourceExhausted,
        RetryOn::Unavailable,
    ]);
    (
        any::<u32>(),
        option::of(duration()),
        vec(on, 0..4),
        vec(any::<u16>(), 0..3),
        any::<[bool; 2]>(),
        prop_oneof![Just(RetryPolicy::default().back_off), duration()],
    )
        .prop_map(
            |(attempts, per_try_timeout, on, status_codes, [avoids, is_minimum], back_off)| {
                RetryPolicy {
                    attempts,
                    per_try_timeout,
                    on,
                    status_codes,
                    avoids_previous_endpoints: avoids,
                    back_off,
                    back_off_is_minimum: is_minimum,
                }
            },
        )
        .boxed()
}

fn share() -> impl Strategy<Value = Share> {
    any::<u32>().prop_map(Share)
}

fn filters() -> impl Strategy<Value = Filters> {
    let delay = (duration(), share()).prop_map(|(duration, share)| Delay { duration, share });
    let with = prop_oneof![
        any::<u16>().prop_map(AbortWith::Http),
        any::<u8>().prop_map(AbortWith::Grpc),
    ];
    let abort = (with, share()).prop_map(|(with, share)| Abort { with, share });
    let fault = (option::of(delay), option::of(abort));
    let fault = fault.prop_map(|(delay, abort)| Fault { delay, abort });
    (option::of(fault), option::of(cors())).prop_map(|(fault, cors)| Filters { fault, cors })
}

fn cors() -> BoxedStrategy<Cors> {
    let list = || vec(text(), 0..3);
    (
        vec(string_match(), 0..3),
        list(),
        list(),
        list(),
        option::of(duration()),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(
                allow_origins,
                allow_methods,
                allow_headers,
                expose_headers,
                max_age,
                [
                    allow_credentials,
                    answers_unmatched_preflights,
                    wildcards_are_echoed,
                ],
            )| Cors {
                allow_origins,
                allow_methods,
                allow_headers,
                expose_headers,
                max_age,
                allow_credentials,
                answers_unmatched_preflights,
                wildcards_are_echoed,
            },
        )
        .boxed()
}

fn route() -> BoxedStrategy<Route> {
    (
        text(),
        route_match(),
        action(),
        filters(),
        (edits(), edits()),
        option::of(duration()),
        origin(),
    )
        .prop_map(
            |(name, matches, action, filters, edits, timeout, origin)| Route {
                name,
                matches,
                action,
                filters,
                request_headers: edits.0,
                response_headers: edits.1,
                timeout,
                origin,
            },
        )
        .boxed()
}

fn route_match() -> BoxedStrategy<RouteMatch> {
    let path = prop_oneof![
        Just(PathMatch::Any),
        text().prop_map(PathMatch::Exact),
        text().prop_map(PathMatch::Prefix),
        text().prop_map(PathMatch::ElementPrefix),
        text().prop_map(PathMatch::Regex),
    ];
    let header =
        (text(), string_match(), any::<bool>()).prop_map(|(name, value, invert)| HeaderMatch {
            name,
            value,
            invert,
        });
    let query = (text(), string_match()).prop_map(|(name, value)| QueryMatch { name, value });
    (
        path,
        any::<bool>(),
        option::of(string_match()),
        option::of(string_match()),
        option::of(string_match()),
        vec(header, 0..2),
        vec(query, 0..2),
    )
        .prop_map(
            |(path, ignore_case, method, authority, scheme, headers, query)| RouteMatch {
                path,
                ignore_case,
                method,
                authority,
                scheme,
                headers,
                query,
            },
        )
        .boxed()
}

fn string_match() -> impl Strategy<Value = StringMatch> {
    prop_oneof![
        text().prop_map(StringMatch::Exact),
        text().prop_map(StringMatch::Prefix),
        text().prop_map(StringMatch::Regex),
        Just(StringMatch::Present),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let answer = option::of(any::<u16>());
    let destination = (text(), answer, any::<u32>(), edits(), edits()).prop_map(
        |(cluster, answer, weight, request_headers, response_headers)| Destination {
            cluster,
            answer,
            weight,
            request_headers,
            response_headers,
        },
    );
    let regex = (text(), text()).prop_map(|(pattern, substitution)| RegexRewrite {
        pattern,
        substitution,
    });
    let rewrite = (option::of(text()), option::of(regex), option::of(text())).prop_map(
        |(path, regex, authority)| Rewrite {
            path,
            regex,
            authority,
        },
    );
    let mirror = (text(), share()).prop_map(|(cluster, share)| Mirror { cluster, share });
    let forward = (
        vec(destination, 1..3),
        option::of(rewrite),
        option::of(retry_policy()),
        vec(mirror, 0..2),
    )
        .prop_map(|(destinations, rewrite, retry, mirrors)| {
            Action::Forward(Forward {
                destinations,
                rewrite,
                retry,
                mirrors,
            })
        });
    let direct = (any::<u16>(), vec(any::<u8>(), 0..6))
        .prop_map(|(status, body)| Action::Direct(DirectResponse { status, body }));
    prop_oneof![forward, redirect().prop_map(Action::Redirect), direct]
}

fn redirect() -> impl Strategy<Value = Redirect> {
    let port = prop_oneof![
        Just(RedirectPort::Authority),
        any::<u16>().prop_map(RedirectPort::Port),
        Just(RedirectPort::FromProtocolDefault),
        Just(RedirectPort::FromRequestPort),
    ];
    let path = prop_oneof![
        Just(RedirectPath::Keep),
        text().prop_map(RedirectPath::Full),
        text().prop_map(RedirectPath::Prefix),
    ];
    (
        any::<u16>(),
        option::of(text()),
        option::of(text()),
        port,
        path,
    )
        .prop_map(|(status, scheme, authority, port, path)| Redirect {
            status,
            scheme,
            authority,
            port,
            path,
        })
}

fn edits() -> BoxedStrategy<HeaderEdits> {
    let value = || (text(), text()).prop_map(|(name, value)| HeaderValue { name, value });
    (
        option::of(text()),
        vec(text(), 0..2),
        vec(value(), 0..2),
        vec(value(), 0..2),
    )
        .prop_map(|(authority, remove, set, add)| HeaderEdits {
            authority,
            remove,
            set,
            add,
        })
        .boxed()
}
