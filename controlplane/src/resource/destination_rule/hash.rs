//! Reads `consistentHash`: what of a request chooses its endpoint, and by which table.

use ringmain_config::cluster::{Balancer, HashCookie, HashKey};
use ringmain_core::{
    balance::{TABLE_ENTRIES_MAX, is_prime},
    header::{is_control_byte, is_token},
};

use super::{
    super::{
        cursor::{Cursor, Fault, Report},
        format,
    },
    LoadBalancer,
};

/// Places on a ring when nothing is said of them.
const RING_DEFAULT: u64 = 1024;

/// Places in a table when nothing is said of them.
const TABLE_DEFAULT: u64 = 65_537;

/// `ConsistentHashLB`.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> LoadBalancer {
    LoadBalancer {
        balancer: read_balancer(at, report),
        hash: read_key(at, report),
    }
}

/// A ring unless a table is asked for.
fn read_balancer(at: &Cursor<'_>, report: &mut Report) -> Balancer {
    let (ring, table) = (at.field("ringHash"), at.field("maglev"));
    let older = at.field("minimumRingSize");
    match (&ring, &table) {
        (Some(_), Some(table)) => {
            let fault = Fault::new("`ringHash` and `maglev` exclude each other");
            report.error(table, fault.hint("remove one of them"));
        }
        (Some(_), None) | (None, Some(_)) if older.is_some() => {
            let named = if ring.is_some() { "ringHash" } else { "maglev" };
            let fault = Fault::new(format!("`minimumRingSize` has no effect beside `{named}`"));
            report.warning(&older.unwrap_or(*at), fault.hint("remove it"));
        }
        (Some(_) | None, None) | (None, Some(_)) => {}
    }
    let size = |at: &Cursor<'_>, name| at.integer_of(name).filter(|size: &u64| *size > 0);
    match table {
        Some(table) => {
            let entries = size(&table, "tableSize").unwrap_or(TABLE_DEFAULT);
            if entries > TABLE_ENTRIES_MAX || !is_prime(entries) {
                let message =
                    format!("{entries} is not a prime number of at most {TABLE_ENTRIES_MAX}");
                let place = table.field("tableSize").unwrap_or(table);
                let fault = Fault::new(message).hint(format!("{TABLE_DEFAULT} is usual"));
                report.error(&place, fault);
            }
            Balancer::Maglev { entries }
        }
        None => Balancer::RingHash {
            entries_min: size(&ring.unwrap_or(*at), "minimumRingSize").unwrap_or(RING_DEFAULT),
        },
    }
}

/// Exactly one of them. A source address that is not to be used is none.
fn read_key(at: &Cursor<'_>, report: &mut Report) -> Option<HashKey> {
    let text = |name| at.text_of(name).map(str::to_owned);
    let header = text("httpHeaderName").map(|name| match name.as_str() {
        AUTHORITY => HashKey::Header("host".to_owned()),
        _ => HashKey::Header(name.to_ascii_lowercase()),
    });
    let cookie = at.field("httpCookie");
    let cookie = cookie.and_then(|cookie| Some(HashKey::Cookie(read_cookie(&cookie, report)?)));
    let source = at.boolean_of("useSourceIp").filter(|used| *used);
    let keys = [
        ("httpHeaderName", header),
        ("httpCookie", cookie),
        ("useSourceIp", source.map(|_| HashKey::SourceAddress)),
        (
            "httpQueryParameterName",
            text("httpQueryParameterName").map(HashKey::QueryParameter),
        ),
    ];
    let mut keys = keys
        .into_iter()
        .filter_map(|(name, key)| Some((name, key?)));
    match (keys.next(), keys.next()) {
        (None, _) => {
            let names = ["httpHeaderName", "httpCookie", "httpQueryParameterName"];
            // What is wrong with one that is there was reported.
            if names.iter().all(|name| at.field(name).is_none()) {
                let fault = Fault::new("it says not what is hashed");
                report.error(
                    at,
                    fault.hint(
                        "add `httpHeaderName`, `httpCookie`, `httpQueryParameterName` or \
                         `useSourceIp: true`",
                    ),
                );
            }
            None
        }
        (Some((first, _)), Some((second, _))) => {
            let fault = Fault::new(format!("`{first}` and `{second}` exclude each other"));
            report.error(at, fault.hint("remove one of them"));
            None
        }
        (Some((_, key)), None) => Some(key),
    }
}

fn read_cookie(at: &Cursor<'_>, report: &mut Report) -> Option<HashCookie> {
    let ttl = at.text_of("ttl").and_then(format::duration);
    if ttl.is_none() {
        for name in ["path", "attributes"] {
            if let Some(field) = at.field(name) {
                let message = format!("`{name}` has no effect without `ttl`: no cookie is given");
                let hint = "add `ttl`; `0s` is a session's";
                report.warning(&field, Fault::new(message).hint(hint));
            }
        }
    }
    let attributes = at.each_of_list("attributes").filter_map(|attribute| {
        let value = attribute.text_of("value").unwrap_or_default();
        Some((attribute.text_of("name")?.to_owned(), value.to_owned()))
    });
    Some(HashCookie {
        name: at.text_of("name")?.to_owned(),
        path: at.text_of("path").unwrap_or_default().to_owned(),
        ttl,
        attributes: attributes.collect(),
    })
}

/// The authority of a request, as HTTP/2 has it; proxies find it under `host`.
const AUTHORITY: &str = ":authority";

/// `httpHeaderName`: the name of a header field, or [`AUTHORITY`].
pub(super) fn header(text: &str) -> Result<(), Fault> {
    if text == AUTHORITY || is_token(text.as_bytes()) {
        return Ok(());
    }
    let fault = Fault::new(format!(
        "`{}` is not the name of a header",
        format::shown(text)
    ));
    Err(match text.starts_with(':') {
        true => fault.hint("of what begins with a colon, only `:authority` can be hashed"),
        false => fault,
    })
}

/// The name of a cookie or of one of its attributes (RFC 6265 section 4.1.1).
pub(super) fn cookie_name(text: &str) -> Result<(), Fault> {
    if is_token(text.as_bytes()) {
        return Ok(());
    }
    let message = format!("`{}` is not the name of a cookie", format::shown(text));
    Err(message.into())
}

/// The value of an attribute (RFC 6265 section 4.1.1): what would end it would begin another one,
/// or another header.
pub(super) fn cookie_text(text: &str) -> Result<(), Fault> {
    if text
        .bytes()
        .any(|byte| byte == b';' || is_control_byte(byte))
    {
        return Err("it cannot hold `;`, a line break or another control character".into());
    }
    Ok(())
}
