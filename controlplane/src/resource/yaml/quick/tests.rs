use std::{fs, path::Path};

use proptest::prelude::*;

use super::read;
use crate::resource::yaml::{Expansion, Node, Tree, texts};

/// As the parser of the whole language has it; `None` when it reports anything or finds nothing.
fn whole(text: &str, line: usize) -> Option<Node<'_>> {
    let expansion = Expansion::default();
    let document = Tree::new(line, &expansion).read(text).ok()??;
    (document.repeated.is_empty() && expansion.is_none()).then_some(document.root)
}

/// Whether this reader read it; then as the other does.
#[track_caller]
fn check(text: &str) -> bool {
    let quick = read(text, 7);
    if quick.is_some() {
        assert_eq!(quick, whole(text, 7), "{text}");
    }
    quick.is_some()
}

#[test]
fn what_is_read() {
    for text in [
        "a: 1",
        "---\na: 1\n",
        "--- # here\na: b c  # there ä\n\n   # and ß there\nb: true\n",
        "a:\n  b:\n    c: d\ne: f\n",
        "a:\n- b: 1\n  c: 2\n-   d: 3\n    e:\n    - f\ng: h\n",
        "a:\n  - - 1\n    - 2\n  - - 3\n",
        "- a\n-\n  b: 1\n-\n  - c\n",
        "a: [b, 'c d', \"e: f\", [], {}, {g: h, i: [1, -2, .5]}]",
        "a: { prefix: /route-1/ }\nb: http://x:80/?q={}\nc: 10.0.0.1:80\n",
        "8080: a\ntrue: b\nx.y/z-1: c\n",
        "a: ''\nb: \"\"\nc: '#'\nd: -x\ne: it's\n",
    ] {
        assert!(check(text), "{text}");
    }
}

#[test]
fn what_is_left_to_the_other() {
    for text in [
        "",
        "---",
        "a",
        "a:",
        "a: 1\nb:\nc: 2",
        "a: ~",
        "a: &x 1\nb: *x",
        "a: !!str 1",
        "a: |\n  text",
        "a: b\n  c",
        "a: b: c",
        "a: 1\na: 2",
        "a: \"b\\n\"",
        "a: 'it''s'",
        "\"a\": 1",
        "a: {\"b\": 1}",
        "a: [1,\n 2]",
        "a: [1, 2,]",
        "a: [b: c]",
        "a: \"b #\" # c",
        "a: ä",
        "a:\tb",
        "a: 1\r\nb: 2",
        " a: 1",
        "a: 1\n - b",
        "a: 1\n- b",
        "- a\nb: 1",
        "? a\n: b",
        "a:\n-\n  b: 1",
        "<<: {a: 1}",
        "a: @b",
    ] {
        assert!(!check(text), "{text}");
    }
}

#[test]
fn files_as_they_are_written() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let (mut documents, mut quick) = (0, 0);
    let mut left = vec![examples];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("it can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml")
            {
                let text = fs::read_to_string(&path).expect("text");
                for (_, document) in texts(&text).expect("YAML") {
                    documents += 1;
                    quick += usize::from(check(document));
                }
            }
        }
    }
    assert!(documents > 0);
    assert!(quick * 5 >= documents * 4, "only {quick} of {documents}");
}

/// Pieces that mean something, together in all the ways that they should not be, and a few in which
/// they should.
fn piece() -> impl Strategy<Value = String> {
    let fixed = [
        "a: ",
        "b:",
        "key-1: ",
        "x.y/z: ",
        "- ",
        "-",
        "-  ",
        "  ",
        " ",
        "    ",
        "\n",
        "\n",
        "\n  ",
        "\n  ",
        "\n    ",
        "\n- ",
        "\n  - ",
        "1",
        "-2",
        "1.5",
        "true",
        "null",
        "~",
        "text",
        "two words",
        "'q'",
        "\"q\"",
        "'it''s'",
        "\"\\n\"",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ",",
        ": ",
        ":",
        " #c",
        "# c\n",
        "#",
        "http://h:1/p",
        "/p/",
        "[a, b]",
        "{c: d}",
        "{ e: [1, 2], f: {} }",
        "[]",
        "{}",
        "&x ",
        "*x",
        "!!str ",
        "|",
        ">",
        "? ",
        "<<: ",
        "---\n",
        "---",
        "...",
        "%",
        "@",
        "`",
        "\t",
        "\r\n",
        "ä",
        "+",
        "(",
        "^",
    ];
    prop::sample::select(fixed.to_vec()).prop_map(str::to_owned)
}

/// Lines as people write them.
fn line() -> impl Strategy<Value = String> {
    let indent = prop::sample::select(vec!["", "", "  ", "  ", "    ", "      ", " "]);
    let begin = prop::sample::select(vec![
        "", "", "- ", "- - ", "-", "a: ", "b: ", "c: ", "a:", "b:", "- a: ", "- a:", "- b:", "# ",
    ]);
    let value = prop::sample::select(vec![
        "",
        "",
        "",
        "1",
        "text",
        "'q: x'",
        "\"q\"",
        "[a, {b: c}]",
        "{a: 1, b: [x]}",
        "v # c",
        "a b",
        "x: y",
        "- z",
        "null",
        "'a' b",
        "[a] b",
        "1.0.0",
        "0x1f",
        "-",
        "- ",
    ]);
    (indent, begin, value).prop_map(|(indent, begin, value)| format!("{indent}{begin}{value}\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000.max(ProptestConfig::default().cases)))]

    #[test]
    fn both_read_alike_in_pieces(pieces in prop::collection::vec(piece(), 0..16)) {
        check(&pieces.concat());
    }

    #[test]
    fn both_read_alike_in_lines(lines in prop::collection::vec(line(), 0..10)) {
        check(&lines.concat());
    }

    #[test]
    fn both_read_alike_what_is_anything(text in "(?s)[-a:{}\\[\\],&*!|>'\"%#? \n0.~<]{0,40}") {
        check(&text);
    }
}
