//! Paths and their canonical form.

use ringmain_core::{
    http1::RequestHead,
    path::{self, Refused},
};

use super::response::LARGE;

pub(super) fn run(data: &[u8]) -> String {
    as_target(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return "not UTF-8".to_owned();
    };
    match path::canonical(text) {
        Err(refused) => {
            check_refusal(text, refused);
            format!("refused {}", refused.reason())
        }
        Ok(made) => {
            check(text, &made);
            let changed = if made == text { "same" } else { "made" };
            let segments = made.split('/').count().min(5);
            format!(
                "{changed}, {segments} segments, {} escapes",
                made.matches('%').count().min(3)
            )
        }
    }
}

fn check(text: &str, made: &str) {
    assert!(made == "*" || made.starts_with('/'), "{made:?}");
    assert!(made.len() <= text.len().max(1), "{made:?} is longer");
    assert_eq!(path::canonical(made).as_deref(), Ok(made), "made once more");
    assert!(path::is_canonical(made));
    assert!(
        !made.contains('\\') && !made.contains('#') && !made.contains('\0'),
        "{made:?}"
    );
    assert!(!made.contains("%00"), "{made:?}");
    let is_dots = |segment: &str| segment == "." || segment == "..";
    assert!(!made.split('/').any(is_dots), "{made:?} leads out");
    // One who undoes the escapes of unreserved characters finds none: a stray `%` guards them.
    let segments = made
        .split('/')
        .map(|segment| segment.to_lowercase().replace("%2e", "."));
    for segment in segments {
        assert!(!is_dots(&segment), "{made:?} leads out for who decodes it");
    }
}

/// It is refused for what it holds.
fn check_refusal(text: &str, refused: Refused) {
    match refused {
        Refused::NotRooted => assert!(!text.starts_with(['/', '\\']), "{text:?}"),
        Refused::Nul => assert!(text.contains('\0') || text.contains("%00"), "{text:?}"),
        Refused::Fragment => assert!(text.contains('#'), "{text:?}"),
        Refused::Escapes | Refused::Unusable | Refused::Costly => {
            panic!("nothing is rewritten here")
        }
        Refused::EscapedSlash => panic!("no policy refuses escaped slashes here"),
    }
}

/// What a request's head says of its path is what is found without it.
fn as_target(data: &[u8]) {
    let head = [b"GET ", data, b" HTTP/1.1\r\nhost: a\r\n\r\n"].concat();
    let mut decoded = RequestHead::new();
    if let Ok(Some(length)) = decoded.decode(&head, &LARGE)
        && length == head.len()
    {
        let path = decoded.path(&head);
        assert_eq!(decoded.canonical_path(&head), path::canonical(path));
    }
}
