//! Reads the matches of a GRPCRoute's rule.

use super::{Match, Rpc, RpcPattern, Target, form, matches};
use crate::resource::{
    cursor::{Cursor, Fault, Report},
    format,
};

/// What every call meets.
pub(super) fn every_call() -> Match {
    Match {
        target: Target::Rpc(Rpc::default()),
        ..matches::every_request()
    }
}

/// `GRPCRouteMatch`.
pub(super) fn read(at: &Cursor<'_>, report: &mut Report) -> Match {
    let rpc = at.field("method").map(|method| read_rpc(&method, report));
    Match {
        target: Target::Rpc(rpc.unwrap_or_default()),
        headers: matches::read_headers(at, report),
        ..every_call()
    }
}

/// `GRPCMethodMatch`. An empty name is that of none.
fn read_rpc(at: &Cursor<'_>, report: &mut Report) -> Rpc {
    let pattern = match at.text_of("type") {
        Some("RegularExpression") => RpcPattern::Regex,
        _ => RpcPattern::Exact,
    };
    let mut part = |name, exact: fn(&str) -> Result<(), Fault>| {
        let field = at.field(name)?;
        let text = field.text().filter(|text| !text.is_empty())?;
        let form = match pattern {
            RpcPattern::Exact => exact,
            RpcPattern::Regex => format::regex,
        };
        if let Err(fault) = form(text) {
            report.error(&field, fault);
        }
        Some(text.to_owned())
    };
    let rpc = Rpc {
        pattern,
        service: part("service", form::rpc_service),
        method: part("method", form::rpc_method),
    };
    if rpc.service.is_none() && rpc.method.is_none() {
        let fault = Fault::new("the condition is empty");
        report.error(at, fault.hint("write `service`, `method` or both"));
    }
    rpc
}
