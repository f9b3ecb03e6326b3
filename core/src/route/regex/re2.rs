//! What RE2 means by classes and word boundaries: ASCII, in patterns about characters.

use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl,
    ClassPerlKind, ClassSet, ClassSetItem, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind,
    Span,
};

/// Replaces what would be read as Unicode. The depth of `ast` is that of what was parsed, which is
/// bounded.
pub(super) fn adopt(ast: &mut Ast) {
    match ast {
        Ast::ClassPerl(class) => {
            let item = ClassSetItem::Ascii(ascii(class));
            *ast = Ast::class_bracketed(ClassBracketed {
                span: class.span,
                negated: false,
                kind: ClassSet::Item(item),
            });
        }
        Ast::ClassBracketed(class) => adopt_set(&mut class.kind),
        Ast::Assertion(assertion) if is_about_words(assertion) => {
            let span = assertion.span;
            let assertion = Ast::Assertion(assertion.clone());
            *ast = Ast::group(Group {
                span,
                kind: GroupKind::NonCapturing(without_unicode(span)),
                ast: Box::new(assertion),
            });
        }
        Ast::Repetition(repetition) => adopt(&mut repetition.ast),
        Ast::Group(group) => adopt(&mut group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter_mut().for_each(adopt),
        Ast::Concat(concat) => concat.asts.iter_mut().for_each(adopt),
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Literal(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_) => {}
    }
}

fn adopt_set(set: &mut ClassSet) {
    match set {
        ClassSet::Item(item) => adopt_item(item),
        ClassSet::BinaryOp(operation) => {
            adopt_set(&mut operation.lhs);
            adopt_set(&mut operation.rhs);
        }
    }
}

fn adopt_item(item: &mut ClassSetItem) {
    match item {
        ClassSetItem::Perl(class) => *item = ClassSetItem::Ascii(ascii(class)),
        ClassSetItem::Bracketed(class) => adopt_set(&mut class.kind),
        ClassSetItem::Union(union) => union.items.iter_mut().for_each(adopt_item),
        ClassSetItem::Empty(_)
        | ClassSetItem::Literal(_)
        | ClassSetItem::Range(_)
        | ClassSetItem::Ascii(_)
        | ClassSetItem::Unicode(_) => {}
    }
}

fn ascii(class: &ClassPerl) -> ClassAscii {
    ClassAscii {
        span: class.span,
        kind: match class.kind {
            ClassPerlKind::Digit => ClassAsciiKind::Digit,
            ClassPerlKind::Space => ClassAsciiKind::Space,
            ClassPerlKind::Word => ClassAsciiKind::Word,
        },
        negated: class.negated,
    }
}

fn is_about_words(assertion: &Assertion) -> bool {
    match assertion.kind {
        AssertionKind::StartLine
        | AssertionKind::EndLine
        | AssertionKind::StartText
        | AssertionKind::EndText => false,
        AssertionKind::WordBoundary
        | AssertionKind::NotWordBoundary
        | AssertionKind::WordBoundaryStart
        | AssertionKind::WordBoundaryEnd
        | AssertionKind::WordBoundaryStartAngle
        | AssertionKind::WordBoundaryEndAngle
        | AssertionKind::WordBoundaryStartHalf
        | AssertionKind::WordBoundaryEndHalf => true,
    }
}

/// `-u`.
fn without_unicode(span: Span) -> Flags {
    let item = |kind| FlagsItem { span, kind };
    Flags {
        span,
        items: vec![
            item(FlagsItemKind::Negation),
            item(FlagsItemKind::Flag(Flag::Unicode)),
        ],
    }
}
