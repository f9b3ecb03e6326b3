use std::sync::Arc;

use super::{
    super::{Loaded, parse},
    Memo, THREAD_BYTES_MIN, parse_again,
};

const GOOD: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: good}\nspec: {}\n";

/// Every rendered problem of a text.
#[track_caller]
fn check(text: &str, expected: &[&str]) -> Loaded {
    let loaded = parse("file.yaml", text);
    let problems: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, expected, "{text}");
    loaded
}

#[test]
fn documents_without_content_are_none() {
    for text in [
        "",
        "---\n",
        "# nothing\n---\n---\n# more\n",
        "~",
        "%YAML 1.2\n---\n",
    ] {
        assert_eq!(check(text, &[]), Loaded::default());
    }
}

#[test]
fn a_broken_document_hides_no_other() {
    let text = format!("{GOOD}---\na: b\n c: d\n---\n{GOOD}");
    let loaded = check(
        &text,
        &[
            "file.yaml:7:3: error: document 2: not YAML: mapping values are not allowed in this \
           context",
        ],
    );
    let lines: Vec<u32> = loaded
        .resources
        .iter()
        .map(|resource| resource.metadata().origin.line)
        .collect();
    assert_eq!(lines, [1, 9]);
    assert!(loaded.has_errors());
}

#[test]
fn keys_that_occur_twice_hide_nothing_else() {
    let text = "apiVersion: v1\nkind: Service\nmetadata: {name: a, name: b}\nspec:\n  ports:\n  \
                - {port: 80, port: 81}\n  protos: []\n";
    let loaded = check(
        text,
        &[
            "file.yaml:3:21: error: document 1: the key `name` occurs twice, first in line 3; \
             remove one of them",
            "file.yaml:6:16: error: document 1: the key `port` occurs twice, first in line 6; \
             remove one of them",
            "file.yaml:7:3: error: Service default/a > spec.protos: there is no field `protos`; \
             did you mean `ports`?",
        ],
    );
    assert_eq!(loaded.resources, []);
}

#[test]
fn separators_of_every_form() {
    let text = format!("--- # one\n{GOOD}...\n# between\n---\r\n{GOOD}--- !!map\n{GOOD}");
    assert_eq!(check(&text, &[]).resources.len(), 3);
}

#[test]
fn a_list_holds_documents() {
    let item = GOOD.trim_end().replace('\n', "\n  ");
    let text = format!(
        "apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n- \
{item}\n- {item}\n- a: b\n"
    );
    let loaded = check(
        &text,
        &[
            "file.yaml:13:3: error: document 1 > items[2] > apiVersion: `apiVersion` is missing",
            "file.yaml:13:3: error: document 1 > items[2] > kind: `kind` is missing",
        ],
    );
    assert_eq!(loaded.resources.len(), 2);
}

#[test]
fn what_a_document_calls_itself() {
    let kubectl = "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\n  namespace: prod\n  \
                   labels: {app.kubernetes.io/name: a}\n  annotations: {a/b: c}\n  \
                   creationTimestamp: \"2024-01-02T03:04:05Z\"\n  uid: 1\n  managedFields: []\n\
                   spec: {}\nstatus: {anything: 1}\n";
    let loaded = check(kubectl, &[]);
    let metadata = loaded.resources[0].metadata();
    assert_eq!(
        (metadata.namespace.as_str(), metadata.name.as_str()),
        ("prod", "a")
    );
    assert_eq!(metadata.labels["app.kubernetes.io/name"], "a");
    assert_eq!(metadata.annotations["a/b"], "c");
    assert_eq!(metadata.creation.as_deref(), Some("2024-01-02T03:04:05Z"));
    assert_eq!(&*metadata.origin.resource, "Service prod/a");
}

#[test]
fn what_is_wrong_with_a_document() {
    for (text, expected) in [
        (
            "a",
            &[
                "file.yaml:1:1: error: document 1: not a resource; begin with `apiVersion` \
and `kind`",
            ][..],
        ),
        (
            "- a",
            &[
                "file.yaml:1:1: error: document 1: not a resource; begin with `apiVersion` \
and `kind`",
            ],
        ),
        (
            "kind: Service",
            &["file.yaml:1:1: error: document 1 > apiVersion: `apiVersion` is missing"],
        ),
        (
            "{apiVersion: 1, kind: Service}",
            &[
                "file.yaml:1:14: error: document 1 > apiVersion: expected text, found the \
number `1`; put it in quotes: \"1\"",
            ],
        ),
        (
            "{apiVersion: v1, kind: Sercive}",
            &[
                "file.yaml:1:24: error: Sercive default/? > kind: there is no kind \
`Sercive` in v1; did you mean `Service`?",
            ],
        ),
        (
            "{apiVersion: v1, kind: Service}",
            &[
                "file.yaml:1:1: error: Service default/? > metadata: `metadata` is missing",
                "file.yaml:1:1: error: Service default/? > spec: `spec` is missing",
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {}, spec: {}, specs: {}}",
            &[
                "file.yaml:1:43: error: Service default/? > metadata.name: `name` is missing",
                "file.yaml:1:57: error: Service default/? > specs: there is no field \
`specs`; did you mean `spec`?",
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a.b, namespace: A}, spec: {}}",
            &[
                "file.yaml:1:50: error: Service A/a.b > metadata.name: `a.b` is not a DNS \
label; use at most 63 of a-z, 0-9 and `-`, with no `-` at either end",
                "file.yaml:1:66: error: Service A/a.b > metadata.namespace: `A` is not a \
DNS label; use at most 63 of a-z, 0-9 and `-`, with no `-` at either end",
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a, labels: {version: 1, \
ok: yes, '-': ''}}, spec: {}}",
            &[
                "file.yaml:1:71: error: Service default/a > metadata.labels.version: \
expected text, found the number `1`; put it in quotes: \"1\"",
                "file.yaml:1:83: error: Service default/a > metadata.labels.-: `-` is not \
the name of a label; use at most 63 letters, digits, `-`, `_` and `.`, with \
a letter or digit at each end",
            ],
        ),
        (
            "{apiVersion: v1, kind: Service, metadata: {name: a, creationTimestamp: \
yesterday}, spec: {}}",
            &[
                "file.yaml:1:72: error: Service default/a > metadata.creationTimestamp: \
`yesterday` is not a time; write it like `2024-01-02T03:04:05Z`",
            ],
        ),
    ] {
        let loaded = check(text, expected);
        assert!(loaded.has_errors() && loaded.resources.is_empty(), "{text}");
    }
}

#[test]
fn kinds_without_a_meaning_are_passed_over() {
    let loaded = check(
        "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {anything: 1}}",
        &[
            "file.yaml:1:1: warning: Deployment default/a: Deployment means nothing on a host: it \
           is ignored",
        ],
    );
    assert_eq!(loaded.resources, []);
}

#[test]
fn a_file_has_a_size_limit() {
    let text = format!("# {}", " ".repeat(4 << 20));
    check(
        &text,
        &["file.yaml: error: file: the file is larger than 4 MiB; split it up"],
    );
}

#[test]
fn problems_have_a_limit() {
    let fields: String = (0..2000)
        .map(|number| format!("  unknown{number}: 1\n"))
        .collect();
    let text = format!("apiVersion: v1\nkind: Service\nmetadata: {{name: a}}\nspec:\n{fields}");
    let loaded = parse("file.yaml", &text);
    assert_eq!(loaded.problems.len(), 1000);
    let last = loaded
        .problems
        .last()
        .expect("there are a thousand")
        .to_string();
    assert_eq!(
        last,
        "file.yaml:1004:3: error: Service default/a > spec.unknown999: and 1001 more problems from \
         here on"
    );
}

fn entry(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{name: {name}}}\n\
         spec: {{address: {address}}}\n"
    )
}

#[test]
fn documents_that_did_not_change_are_not_read_again() {
    let before = [entry("a", "10.0.0.1"), entry("b", "10.0.0.2")].concat();
    let (loaded, memo) = parse_again("mesh.yaml", &before, &Memo::default());
    assert_eq!(loaded.problems, []);
    // Each: the text, and which of its resources are those of before.
    for (text, kept) in [
        (before.clone(), &[true, true][..]),
        (before.replace("10.0.0.2", "10.0.0.3"), &[true, false]),
        (before.replace("10.0.0.1", "10.0.0.3"), &[false, true]),
        // Its line is another one, and messages name it.
        (format!("# comment\n{before}"), &[false, false]),
        (
            before.clone() + &entry("c", "10.0.0.4"),
            &[true, true, false],
        ),
        (entry("a", "10.0.0.1"), &[true]),
        (entry("b", "10.0.0.2"), &[false]),
    ] {
        let (again, _) = parse_again("mesh.yaml", &text, &memo);
        assert_eq!(again, parse("mesh.yaml", &text), "{text}");
        let are_kept = again.resources.iter().map(|resource| {
            let mut before = loaded.resources.iter();
            before.any(|before| Arc::ptr_eq(before, resource))
        });
        assert_eq!(are_kept.collect::<Vec<_>>(), kept, "{text}");
    }
}

#[test]
fn problems_of_documents_that_did_not_change_are_said_again() {
    let text = [entry("a", "10.0.0.1"), entry("b", "nowhere:1")].concat();
    let (first, memo) = parse_again("mesh.yaml", &text, &Memo::default());
    assert!(!first.problems.is_empty());
    let text = text.replace("10.0.0.1", "10.0.0.2");
    let (again, _) = parse_again("mesh.yaml", &text, &memo);
    assert_eq!(again, parse("mesh.yaml", &text));
    assert_eq!(again.problems, first.problems);
}

#[test]
fn a_long_file_is_read_in_order() {
    let names: Vec<String> = (0..5000).map(|number| format!("w{number}")).collect();
    let text: String = names.iter().map(|name| entry(name, "10.0.0.1")).collect();
    assert!(text.len() > 4 * THREAD_BYTES_MIN);
    let loaded = parse("mesh.yaml", &(text + &entry("bad", "nowhere:1")));
    let found = loaded.resources.iter();
    let found: Vec<&str> = found.map(|found| &*found.metadata().name).collect();
    assert_eq!(found, names);
    assert_eq!(loaded.problems.len(), 1, "{:?}", loaded.problems);
    assert_eq!(loaded.problems[0].line, 25_005);
}
