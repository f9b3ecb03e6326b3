use super::{Document, Expansion, Node, Scalar, SyntaxError, Value, document, texts};

/// Every document of a text that is not empty.
fn documents(text: &str) -> Vec<Result<Document<'_>, SyntaxError>> {
    let expansion = Expansion::default();
    match texts(text) {
        Ok(texts) => {
            let documents = texts.into_iter();
            documents
                .filter_map(|text| document(text, &expansion).transpose())
                .collect()
        }
        Err(error) => vec![Err(error)],
    }
}

/// The only document of a text, in a short form of its own: `{key: [1, "text"]}`.
fn read(text: &str) -> Result<String, String> {
    let mut documents = documents(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents
        .remove(0)
        .and_then(|document| match document.repeated.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(show(&document.root)),
        })
        .map_err(|error| message(&error))
}

fn message(error: &SyntaxError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!("; {hint}"));
    format!(
        "{}:{} {}{}",
        error.span.line,
        error.span.column,
        error.message,
        hint.unwrap_or_default()
    )
}

fn show(node: &Node<'_>) -> String {
    match &node.value {
        Value::Scalar(Scalar::Null) => "null".to_owned(),
        Value::Scalar(Scalar::Boolean(boolean)) => boolean.to_string(),
        Value::Scalar(Scalar::Integer(number, _)) => number.to_string(),
        Value::Scalar(Scalar::Float(number, _)) => format!("{number:?}"),
        Value::Scalar(Scalar::Text(text)) => format!("{text:?}"),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| format!("{}: {}", entry.key, show(&entry.node)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    assert_eq!(read(text), Err(expected.to_owned()), "{text}");
}

#[test]
fn scalars_of_the_core_schema() {
    for (text, expected) in [
        ("- null\n- ~\n-\n- Null", "[null, null, null, null]"),
        (
            "[true, True, FALSE, yes, on]",
            "[true, true, false, \"yes\", \"on\"]",
        ),
        ("[0, -1, +7, 0o17, 0xfF, 007]", "[0, -1, 7, 15, 255, 7]"),
        ("[9223372036854775807]", "[9223372036854775807]"),
        ("[9223372036854775808]", "[9.223372036854776e18]"),
        (
            "[1.5, .5, 1., 1e3, -1.5E-2]",
            "[1.5, 0.5, 1.0, 1000.0, -0.015]",
        ),
        ("[.inf, -.INF, .nan]", "[inf, -inf, NaN]"),
        (
            "[inf, nan, ., e5, 1e, 0x, 1_000, 1.2.3]",
            "[\"inf\", \"nan\", \".\", \"e5\", \"1e\", \"0x\", \"1_000\", \"1.2.3\"]",
        ),
        ("['1', \"true\", '']", "[\"1\", \"true\", \"\"]"),
        ("[!!str 1, !!int 7, !!float 1, ! 3]", "[\"1\", 7, 1, \"3\"]"),
        (
            "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
            "{a: \"x\\ny\\n\", b: \"x y\"}",
        ),
        ("{8080: a, true: b}", "{8080: \"a\", true: \"b\"}"),
    ] {
        check(text, expected);
    }
}

#[test]
fn anchors_aliases_and_merges() {
    for (text, expected) in [
        ("[&a {x: 1}, *a]", "[{x: 1}, {x: 1}]"),
        ("- &a [1]\n- &a [2]\n- *a", "[[1], [2], [2]]"),
        (
            "- &d {x: 1, y: 2}\n- {<<: *d, x: 3}",
            "[{x: 1, y: 2}, {x: 3, y: 2}]",
        ),
        ("- &d {x: 1}\n- {x: 3, <<: *d}", "[{x: 1}, {x: 3}]"),
        (
            "- &d {x: 1}\n- &e {x: 2, y: 2}\n- <<: [*d, *e]",
            "[{x: 1}, {x: 2, y: 2}, {x: 1, y: 2}]",
        ),
        ("{'<<': 1}", "{<<: 1}"),
    ] {
        check(text, expected);
    }
}

#[test]
fn what_cannot_be_read() {
    for (text, expected) in [
        (
            "a: 1\nb: 2\na: 3",
            "3:1 the key `a` occurs twice, first in line 1; remove one of them",
        ),
        (
            "a: [1",
            "1:6 not YAML: while parsing a flow sequence, expected ',' or ']'",
        ),
        ("[a]: b", "1:1 a key must be text, not a list or map"),
        ("? {a: b}\n: c", "1:3 a key must be text, not a list or map"),
        ("- &a x\n- {*a : b}", "2:4 an alias cannot stand for a key"),
        (
            "&a [*a]",
            "1:5 an alias stands inside the value that it names",
        ),
        ("- <<: 1", "1:7 `<<` takes a map, or a list of maps"),
        ("!thing a", "1:1 the tag `!thing` has no meaning here"),
        (
            "!!binary aGk=",
            "1:1 the tag `tag:yaml.org,2002:binary` has no meaning here",
        ),
        ("!!int a", "1:1 `a` is not what its tag `!!int` says"),
        (
            "!!set {a}",
            "1:1 the tag `tag:yaml.org,2002:set` has no meaning here",
        ),
        (
            "a\u{0}b",
            "1:2 not YAML: it holds the character U+0000, which no text may hold; write it as an \
escape in double quotes",
        ),
        (
            "a: 1\rb: 2",
            "1:5 a line ends with a carriage return alone; end lines with a line feed",
        ),
    ] {
        check_error(text, expected);
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(64)).is_ok());
    check_error(&nested(65), "1:65 nested deeper than 64 levels");
    let through_alias = format!(
        "[&a {}, {}*a{}]",
        nested(40),
        "[".repeat(24),
        "]".repeat(24)
    );
    check_error(&through_alias, "1:111 nested deeper than 64 levels");
}

#[test]
fn aliases_have_a_limit() {
    let mut bomb = String::from("- &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let previous = format!("*a{}", level - 1);
        let aliases = vec![previous; 10].join(", ");
        bomb.push_str(&format!("- &a{level} [{aliases}]\n"));
    }
    let error = read(&bomb).expect_err("ten to the tenth values");
    assert!(
        error.ends_with("aliases stand for more than 200000 values; write the values out"),
        "{error}"
    );
    // The limit is that of the file: many documents share it.
    let one = format!(
        "---\n- &a [{}]\n- [{}]\n",
        "x, ".repeat(1000),
        "*a, ".repeat(50)
    );
    let five = one.repeat(5);
    let results = documents(&five);
    let errors = results.iter().filter(|result| result.is_err()).count();
    assert_eq!((results.len(), errors), (5, 2));
}

#[test]
fn places() {
    let text = "# comment\n---\nä: x\nlist:\n- k: 'v'\n- [1, two]\n";
    let node = documents(text).remove(0).expect("it is sound").root;
    let Value::Map(entries) = &node.value else {
        panic!("{node:?}");
    };
    let place = |span: super::Span| (span.line, span.column);
    assert_eq!(place(node.span), (3, 1));
    assert_eq!(
        (place(entries[0].key_span), place(entries[0].node.span)),
        ((3, 1), (3, 4))
    );
    let Value::List(items) = &entries[1].node.value else {
        panic!("{node:?}");
    };
    assert_eq!(place(items[0].span), (5, 3));
    let Value::List(flow) = &items[1].value else {
        panic!("{node:?}");
    };
    assert_eq!((place(flow[0].span), place(flow[1].span)), ((6, 4), (6, 7)));
}
