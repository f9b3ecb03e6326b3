//! The demo when rules are changed by hand: it runs, and says how to try one.

use std::{path::Path, time::Duration};

use tokio::time::sleep;

use super::{Ends, screen::Screen, stage::Stage};
use crate::fault::{Exit, Fault};

/// Between two looks whether all processes still run.
const LOOK: Duration = Duration::from_millis(200);

/// Until a signal comes.
///
/// # Errors
/// When a process has ended.
pub(super) async fn stand(
    stage: &mut Stage,
    screen: &mut Screen,
    signals: &mut Ends,
) -> Result<Exit, Fault> {
    for line in hints(stage.directory(), &stage.page()) {
        screen.say(&line);
    }
    tokio::select! {
        outcome = watch(stage) => outcome,
        () = signals.stop() => Ok(Exit::Fine),
    }
}

async fn watch(stage: &mut Stage) -> Result<Exit, Fault> {
    loop {
        stage.check()?;
        sleep(LOOK).await;
    }
}

/// Commands that work as they stand.
fn hints(directory: &Path, page: &str) -> Vec<String> {
    let directory = directory.display();
    let reviews = page.replace("/productpage", "/api/v1/products/0/reviews");
    vec![
        format!("rules to try are in folders of {directory}/routes: copy one, and ask"),
        format!("  cp {directory}/routes/reviews-v2-for-jason/* {directory}/mesh"),
        format!("  curl -H 'end-user: jason' {reviews}"),
        "and back to where everything comes from v1:".to_owned(),
        format!("  cp {directory}/routes/everything-v1/* {directory}/mesh"),
        format!("who uses what: ringmain status --socket {directory}/control.sock"),
        "Ctrl-C ends it".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::{super::embedded::ROUTES, *};

    #[test]
    fn hints_name_what_is_there() {
        let lines = hints(Path::new("/tmp/x"), "http://127.10.0.10:8080/productpage");
        for line in [
            "  cp /tmp/x/routes/reviews-v2-for-jason/* /tmp/x/mesh",
            "  curl -H 'end-user: jason' http://127.10.0.10:8080/api/v1/products/0/reviews",
        ] {
            assert!(lines.iter().any(|said| said == line), "{lines:#?}");
        }
        for folder in ["reviews-v2-for-jason", "everything-v1"] {
            let is_there = ROUTES
                .iter()
                .any(|(path, _)| path.starts_with(&format!("routes/{folder}/")));
            assert!(is_there, "{folder}");
        }
    }
}
