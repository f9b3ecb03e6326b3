//! Which routes of a virtual host can match a path: a radix tree over the bytes of their paths.
//!
//! A walk passes every prefix of the path that some route names, so its cost follows the length of
//! the path and not the number of routes. At each node stand the routes whose prefix ends there and,
//! at the last one, those whose whole path it is. Routes with a regular expression stand under the
//! literal that it begins with, routes for any path under the empty prefix.

/// The bytes under which a route stands, and how.
pub(super) struct Key<'a> {
    /// Position of the route in its list.
    pub(super) route: u32,
    /// The prefix, or the whole path.
    pub(super) bytes: &'a [u8],
    /// The whole path must be equal; otherwise only begin so.
    pub(super) is_exact: bool,
}

/// A tree of routes.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Children of a node are neighbours, in the order of their first byte.
    nodes: Box<[Node]>,
    /// First byte of the label of each node: what a parent searches.
    first_bytes: Box<[u8]>,
    labels: Box<[u8]>,
    /// Positions of routes, each list in ascending order. A list of one stands in its node.
    routes: Box<[u32]>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    label: Span,
    children: Span,
    prefixes: Span,
    exacts: Span,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    fn of<T>(self, items: &[T]) -> &[T] {
        &items[self.start as usize..][..self.length as usize]
    }
}

impl Paths {
    /// Keys may come in any order. With `ignore_case` they must be in lower case, and the same must
    /// be said to [`Self::walk`].
    pub(super) fn new(mut keys: Vec<Key<'_>>) -> Self {
        keys.sort_by(|left, right| {
            let of = |key: &Key<'_>| (key.is_exact, key.route);
            left.bytes
                .cmp(right.bytes)
                .then_with(|| of(left).cmp(&of(right)))
        });
        match keys.is_empty() {
            true => Self::default(),
            false => Builder::build(&keys),
        }
    }

    /// Passes the candidates for `path` to `visit`, in several lists, each in ascending order.
    /// Of a regular expression only the literal beginning has been compared.
    pub(super) fn walk<const IGNORE_CASE: bool>(&self, path: &[u8], mut visit: impl FnMut(&[u32])) {
        let Some(mut node) = self.nodes.first() else {
            return;
        };
        let mut rest = path;
        loop {
            let label = node.label.of(&self.labels);
            let Some((start, behind)) = rest.split_at_checked(label.len()) else {
                return;
            };
            let is_same = match IGNORE_CASE {
                true => start.eq_ignore_ascii_case(label),
                false => start == label,
            };
            if !is_same {
                return;
            }
            rest = behind;
            if node.prefixes.length > 0 {
                visit(self.list(&node.prefixes));
            }
            let Some(&next) = rest.first() else {
                if node.exacts.length > 0 {
                    visit(self.list(&node.exacts));
                }
                return;
            };
            let next = match IGNORE_CASE {
                true => next.to_ascii_lowercase(),
                false => next,
            };
            let Some(child) = memchr::memchr(next, node.children.of(&self.first_bytes)) else {
                return;
            };
            node = &self.nodes[node.children.start as usize + child];
        }
    }

    /// See [`Builder::list`].
    fn list<'a>(&'a self, list: &'a Span) -> &'a [u32] {
        match list.length {
            1 => std::slice::from_ref(&list.start),
            _ => list.of(&self.routes),
        }
    }
}

/// Nodes are made breadth first, so that the children of one lie side by side.
#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    first_bytes: Vec<u8>,
    labels: Vec<u8>,
    routes: Vec<u32>,
}

impl Builder {
    fn build(keys: &[Key<'_>]) -> Paths {
        let mut builder = Self {
            nodes: vec![Node::default()],
            first_bytes: vec![0],
            ..Self::default()
        };
        // Keys of each node that is not built yet, and how many of their bytes lie above it.
        let mut pending = std::collections::VecDeque::from([(keys, 0)]);
        let mut position = 0;
        while let Some((keys, depth)) = pending.pop_front() {
            builder.node(position, keys, depth, &mut pending);
            position += 1;
        }
        Paths {
            nodes: builder.nodes.into(),
            first_bytes: builder.first_bytes.into(),
            labels: builder.labels.into(),
            routes: builder.routes.into(),
        }
    }

    fn node<'k>(
        &mut self,
        position: usize,
        keys: &'k [Key<'k>],
        depth: usize,
        pending: &mut std::collections::VecDeque<(&'k [Key<'k>], usize)>,
    ) {
        let (first, last) = (keys[0].bytes, keys[keys.len() - 1].bytes);
        let end = depth + common_length(&first[depth..], &last[depth..]);
        let ending = keys.partition_point(|key| key.bytes.len() == end);
        let (here, below) = keys.split_at(ending);
        let (prefixes, exacts) = here.split_at(here.partition_point(|key| !key.is_exact));

        let label = span(self.labels.len(), end - depth);
        self.labels.extend_from_slice(&first[depth..end]);
        let prefixes = self.list(prefixes);
        let exacts = self.list(exacts);
        let children_start = self.nodes.len();
        for child in below.chunk_by(|left, right| left.bytes[end] == right.bytes[end]) {
            self.nodes.push(Node::default());
            self.first_bytes.push(child[0].bytes[end]);
            pending.push_back((child, end));
        }
        self.nodes[position] = Node {
            label,
            children: span(children_start, self.nodes.len() - children_start),
            prefixes,
            exacts,
        };
    }

    /// A list of one has the route as its start: most lists do, and finding it elsewhere costs a
    /// cache line per request.
    fn list(&mut self, keys: &[Key<'_>]) -> Span {
        if let [only] = keys {
            return Span {
                start: only.route,
                length: 1,
            };
        }
        let start = self.routes.len();
        self.routes.extend(keys.iter().map(|key| key.route));
        span(start, keys.len())
    }
}

fn span(start: usize, length: usize) -> Span {
    let narrow = |number| u32::try_from(number).expect("a route table is smaller than 4 GiB");
    Span {
        start: narrow(start),
        length: narrow(length),
    }
}

fn common_length(left: &[u8], right: &[u8]) -> usize {
    left.iter()
        .zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Key, Paths};

    fn walk(keys: &[(&str, bool)], path: &str) -> Vec<Vec<u32>> {
        let keys = keys.iter().zip(0..).map(|((text, is_exact), route)| Key {
            route,
            bytes: text.as_bytes(),
            is_exact: *is_exact,
        });
        let mut lists = Vec::new();
        Paths::new(keys.collect()).walk::<false>(path.as_bytes(), |list| lists.push(list.to_vec()));
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
}
