//! Which routes of a virtual host can match a path: a radix tree over the bytes of their paths.
//!
//! A walk passes every prefix of the path that some route names, so its cost follows the length of
//! the path and not the number of routes. At each node stand the routes whose prefix ends there
//! and, at the last one, those whose whole path it is. Routes with a regular expression stand under
//! the literal that it begins with, routes for any path under the empty prefix.
//!
//! The trees of all virtual hosts of a table lie in one array of bytes, each in one piece, a node's
//! label and children right behind its numbers: a walk through the tree of a usual virtual host
//! reads a few neighbouring lines of memory.

use std::collections::VecDeque;

use crate::http1::block::{self, Block};

/// The bytes under which a route stands, and how.
pub(super) struct Key<'a> {
    /// The route.
    pub(super) candidate: Candidate,
    /// The prefix, or the whole path.
    pub(super) bytes: &'a [u8],
    /// The whole path must be equal; otherwise only begin so.
    pub(super) is_exact: bool,
}

/// A route whose path matches, as far as the tree knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate(u32);

impl Candidate {
    /// The route at this position among those of its virtual host. `is_asked`: it has conditions
    /// that the tree knows nothing of.
    pub(super) fn new(position: u32, is_asked: bool) -> Self {
        assert!(
            position < LIST >> 1,
            "a virtual host has fewer than 2^30 routes"
        );
        Self(position << 1 | u32::from(is_asked))
    }

    #[inline]
    pub(super) fn position(self) -> u32 {
        self.0 >> 1
    }

    #[inline]
    pub(super) fn is_asked(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Where the tree of a virtual host begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Root(u32);

/// Of a virtual host without routes: behind the end of all trees.
const NO_TREE: Root = Root(u32::MAX);

/// The trees of a table.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Of each node: its numbers, see [`Node`]; its label; the first bytes of its children, in
    /// ascending order; where they begin, four bytes each.
    nodes: Box<[u8]>,
    /// Where more than one route has the same path: how many, then they, in ascending order.
    lists: Box<[Candidate]>,
}

/// The numbers that a node begins with.
struct Node {
    label_length: u32,
    children: u32,
    prefixes: Here,
    exacts: Here,
}

/// The routes that stand at a node: a candidate, a place in [`Paths::lists`] with [`LIST`] set, or
/// [`NOBODY`]. Most nodes have one, and finding it elsewhere would cost a line of memory.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Here(u32);

const LIST: u32 = 1 << 31;
const NOBODY: Here = Here(u32::MAX);

/// Bytes of a [`Node`].
const NUMBERS: usize = 16;

impl Node {
    #[inline(always)]
    fn of(numbers: &[u8; NUMBERS]) -> Self {
        let numbers = u128::from_le_bytes(*numbers);
        Self {
            label_length: numbers as u32,
            children: (numbers >> 32) as u32,
            prefixes: Here((numbers >> 64) as u32),
            exacts: Here((numbers >> 96) as u32),
        }
    }
}

impl Paths {
    /// Passes the candidates for `path` to `visit`, in several lists, each in ascending order.
    /// Of a regular expression only the literal beginning has been compared.
    #[inline]
    pub(super) fn walk<const IGNORE_CASE: bool>(
        &self,
        root: Root,
        path: &[u8],
        mut visit: impl FnMut(&[Candidate]),
    ) {
        self.walk_from::<IGNORE_CASE>(root, path, &mut visit);
    }

    /// `None` is its only value, and means that the walk has come to its end.
    #[inline]
    fn walk_from<const IGNORE_CASE: bool>(
        &self,
        root: Root,
        mut rest: &[u8],
        visit: &mut impl FnMut(&[Candidate]),
    ) -> Option<std::convert::Infallible> {
        let mut start = root.0 as usize;
        loop {
            let (numbers, behind) = self.nodes.get(start..)?.split_first_chunk()?;
            let node = Node::of(numbers);
            let (label, behind) = behind.split_at_checked(node.label_length as usize)?;
            let (same, further) = rest.split_at_checked(label.len())?;
            let is_same = match IGNORE_CASE {
                true => same.eq_ignore_ascii_case(label),
                false => same == label,
            };
            if !is_same {
                return None;
            }
            rest = further;
            if node.prefixes != NOBODY {
                self.visit(node.prefixes, visit);
            }
            let Some(&next) = rest.first() else {
                if node.exacts != NOBODY {
                    self.visit(node.exacts, visit);
                }
                return None;
            };
            let next = match IGNORE_CASE {
                true => next.to_ascii_lowercase(),
                false => next,
            };
            let children = node.children as usize;
            let child = find(behind, children, next)?;
            let place = behind.get(children + 4 * child..)?.first_chunk()?;
            start = u32::from_le_bytes(*place) as usize;
        }
    }

    #[inline]
    fn visit(&self, here: Here, visit: &mut impl FnMut(&[Candidate])) {
        if here.0 & LIST == 0 {
            return visit(&[Candidate(here.0)]);
        }
        let list = &self.lists[(here.0 ^ LIST) as usize..];
        visit(&list[1..][..list[0].0 as usize]);
    }
}

/// Where among the first `count` of `first_bytes` `byte` is.
#[inline(always)]
fn find(first_bytes: &[u8], count: usize, byte: u8) -> Option<usize> {
    if count <= block::LENGTH {
        let found = Block::at(first_bytes, 0)?.find(byte);
        return (found < count).then_some(found);
    }
    memchr::memchr(byte, first_bytes.get(..count)?)
}

/// Makes the trees of a table, one after the other.
#[derive(Default)]
pub(super) struct Builder {
    nodes: Vec<u8>,
    lists: Vec<Candidate>,
}

/// A node that is not written yet.
struct Pending<'k> {
    keys: &'k [Key<'k>],
    /// How many of their bytes lie above it.
    depth: usize,
    /// Where its place is to be written to.
    place: Option<usize>,
}

impl Builder {
    /// Adds the tree of a virtual host. Keys may come in any order. With `ignore_case` they must be
    /// in lower case, and the same must be said to [`Paths::walk`].
    pub(super) fn add(&mut self, mut keys: Vec<Key<'_>>) -> Root {
        keys.sort_by(|left, right| {
            let of = |key: &Key<'_>| (key.is_exact, key.candidate);
            left.bytes
                .cmp(right.bytes)
                .then_with(|| of(left).cmp(&of(right)))
        });
        if keys.is_empty() {
            return NO_TREE;
        }
        let root = Root(narrow(self.nodes.len()));
        // Breadth first, so that the children of a node lie side by side.
        let mut pending = VecDeque::from([Pending {
            keys: &keys,
            depth: 0,
            place: None,
        }]);
        while let Some(next) = pending.pop_front() {
            if let Some(place) = next.place {
                let start = narrow(self.nodes.len());
                self.nodes[place..place + 4].copy_from_slice(&start.to_le_bytes());
            }
            self.node(next.keys, next.depth, &mut pending);
        }
        root
    }

    pub(super) fn finish(self) -> Paths {
        Paths {
            nodes: self.nodes.into(),
            lists: self.lists.into(),
        }
    }

    fn node<'k>(&mut self, keys: &'k [Key<'k>], depth: usize, pending: &mut VecDeque<Pending<'k>>) {
        let (first, last) = (keys[0].bytes, keys[keys.len() - 1].bytes);
        let end = depth + common_length(&first[depth..], &last[depth..]);
        let ending = keys.partition_point(|key| key.bytes.len() == end);
        let (here, below) = keys.split_at(ending);
        let (prefixes, exacts) = here.split_at(here.partition_point(|key| !key.is_exact));
        let children = || below.chunk_by(|left, right| left.bytes[end] == right.bytes[end]);

        let numbers = [
            narrow(end - depth),
            narrow(children().count()),
            self.here(prefixes).0,
            self.here(exacts).0,
        ];
        self.nodes
            .extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        self.nodes.extend_from_slice(&first[depth..end]);
        self.nodes
            .extend(children().map(|child| child[0].bytes[end]));
        for keys in children() {
            pending.push_back(Pending {
                keys,
                depth: end,
                place: Some(self.nodes.len()),
            });
            self.nodes.extend_from_slice(&[0; 4]);
        }
    }

    fn here(&mut self, keys: &[Key<'_>]) -> Here {
        match keys {
            [] => NOBODY,
            [only] => Here(only.candidate.0),
            several => {
                let start = narrow(self.lists.len());
                assert!(start < LIST >> 1, "a table has fewer than 2^30 routes");
                self.lists.push(Candidate(narrow(several.len())));
                self.lists.extend(several.iter().map(|key| key.candidate));
                Here(start | LIST)
            }
        }
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("a route table is smaller than 4 GiB")
}

fn common_length(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Builder, Candidate, Key};

    fn key(route: u32, text: &str, is_exact: bool) -> Key<'_> {
        Key {
            candidate: Candidate::new(route, route == 1),
            bytes: text.as_bytes(),
            is_exact,
        }
    }

    fn walk(keys: &[(&str, bool)], path: &str) -> Vec<Vec<u32>> {
        let keys = keys.iter().zip(0..);
        let keys = keys.map(|((text, is_exact), route)| key(route, text, *is_exact));
        let mut builder = Builder::default();
        // Another tree stands before it.
        builder.add(vec![key(0, "/x", true), key(1, "/y", false)]);
        let root = builder.add(keys.collect());
        let mut lists = Vec::new();
        builder
            .finish()
            .walk::<false>(root, path.as_bytes(), |list| {
                assert!(
                    list.iter()
                        .all(|found| found.is_asked() == (found.position() == 1))
                );
                lists.push(list.iter().map(|found| found.position()).collect());
            });
        lists
    }

    #[test]
    fn candidates() {
        let keys = [
            ("/users", false),
            ("/users", true),
            ("/user", false),
            ("", false),
            ("/users/a", true),
            ("/users", false),
            ("/v\u{e9}", false),
        ];
        for (path, expected) in [
            ("/users", vec![vec![3], vec![2], vec![0, 5], vec![1]]),
            ("/users/a", vec![vec![3], vec![2], vec![0, 5], vec![4]]),
            ("/users/ab", vec![vec![3], vec![2], vec![0, 5]]),
            ("/use", vec![vec![3]]),
            ("", vec![vec![3]]),
            ("/v\u{e9}", vec![vec![3], vec![6]]),
            ("/v\u{e8}", vec![vec![3]]),
        ] {
            assert_eq!(walk(&keys, path), expected, "{path}");
        }
        assert_eq!(walk(&[], "/a"), Vec::<Vec<u32>>::new());
    }

    /// More children than a block has bytes.
    #[test]
    fn every_byte_can_be_a_child() {
        let texts: Vec<[u8; 2]> = (0..=255).map(|byte| [b'/', byte]).collect();
        let keys = texts.iter().zip(0..).map(|(text, route)| Key {
            candidate: Candidate::new(route, false),
            bytes: text,
            is_exact: true,
        });
        let mut builder = Builder::default();
        let root = builder.add(keys.collect());
        let paths = builder.finish();
        for (text, route) in texts.iter().zip(0..) {
            let mut found = Vec::new();
            paths.walk::<false>(root, text, |list| found.extend_from_slice(list));
            assert_eq!(found, [Candidate::new(route, false)]);
        }
    }
}
