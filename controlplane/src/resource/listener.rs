//! What the listeners of Gateways and Sidecars have in common.

use std::net::IpAddr;

use super::cursor::{Cursor, Report};

/// The address to listen on: `Some(None)` is all. None when nothing can listen there: the address
/// is wrong, or a Unix socket, which is reported.
pub(super) fn bind(at: &Cursor<'_>, report: &mut Report) -> Option<Option<IpAddr>> {
    let Some(field) = at.field("bind") else {
        return Some(None);
    };
    let text = field.text()?;
    if text.is_empty() {
        return Some(None);
    }
    if is_unix(text) {
        let message = "Unix sockets are not supported yet: nothing listens on it";
        report.warning(&field, message);
        return None;
    }
    match text.parse() {
        Ok(address) => Some(Some(address)),
        Err(_) => {
            let fault = super::format::ip_address(text).err();
            fault
                .into_iter()
                .for_each(|fault| report.error(&field, fault));
            None
        }
    }
}

/// `unix:///path`, `unix:/path`, or an abstract socket `unix://@name`.
pub(super) fn is_unix(text: &str) -> bool {
    text.starts_with("unix:")
}
