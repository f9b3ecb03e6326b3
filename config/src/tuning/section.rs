//! One table of `ringmain.toml`: the struct that programs read and the list of its keys, both made
//! from one declaration by [`section!`].

use toml::{Spanned, de::DeValue};

use super::read::Report;

/// What the reader and the writers need of a table.
pub(super) trait Section {
    /// Name in brackets.
    fn name(&self) -> &'static str;
    /// What it is about.
    fn about(&self) -> String;
    /// Its keys in the order of their declaration, each with the value it has here.
    fn keys(&self) -> Vec<Key>;
    /// Takes the value of `key`, one of [`Self::keys`]; what is wrong with it goes to `report`.
    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>, report: &mut Report<'_>);
}

/// One key of a table.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it means.
    pub(super) doc: String,
    /// What a value looks like: `duration`, `"auto"`, `"uring"`, `"uring-coop"` or `"epoll"`.
    pub(super) form: String,
    /// Which of those values are taken; empty: all.
    pub(super) limits: String,
    /// As TOML.
    pub(super) default: String,
    /// As TOML.
    pub(super) value: String,
}

/// Lines of a doc comment as one paragraph.
pub(super) fn paragraph(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ")
}

/// Declares a table: `name: Struct { /// meaning  key: Type = default, constraint; ... }`.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $section:ident: $Section:ident {
            $($(#[doc = $doc:literal])+ $key:ident: $Type:ty = $default:expr
                $(, $constraint:expr)?;)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $Section {
            $($(#[doc = $doc])+ pub $key: $Type,)+
        }

        impl Default for $Section {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::tuning::section::Section for $Section {
            fn name(&self) -> &'static str {
                stringify!($section)
            }

            fn about(&self) -> String {
                $crate::tuning::section::paragraph(&[$($about),+])
            }

            fn keys(&self) -> Vec<$crate::tuning::section::Key> {
                use $crate::tuning::{constraint::Constraint, section, setting::Setting};
                let default = Self::default();
                vec![$({
                    let constraint = Constraint::<$Type>::none();
                    $(let constraint = constraint.and($constraint);)?
                    section::Key {
                        name: stringify!($key),
                        doc: section::paragraph(&[$($doc),+]),
                        form: <$Type as Setting>::form(),
                        limits: constraint.text,
                        default: default.$key.write(),
                        value: self.$key.write(),
                    }
                }),+]
            }

            fn set(
                &mut self,
                key: &str,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                report: &mut $crate::tuning::read::Report<'_>,
            ) {
                use $crate::tuning::{constraint::Constraint, setting::Setting};
                $(if key == stringify!($key) {
                    let constraint = Constraint::<$Type>::none();
                    $(let constraint = constraint.and($constraint);)?
                    let read = report.limited(&constraint.text, |report| {
                        <$Type as Setting>::read(value, report)
                    });
                    if let Some(read) = read && constraint.holds(&read, value, report) {
                        self.$key = read;
                    }
                })+
            }
        }
    };
}
pub(super) use section;
