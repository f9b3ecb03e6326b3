//! Middle, least and greatest of a few figures.

use std::fmt;

/// What is said of the figures of several rounds. The median, because one disturbed round must not
/// move it; the extremes, because they say how disturbed the rounds were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half the figures are at or below it.
    pub median: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

impl Spread {
    /// Of some figures; `None` of none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, min, max })
    }

    /// The same in a unit that is so many times as large.
    pub fn divided_by(self, by: f64) -> Self {
        Self {
            median: self.median / by,
            min: self.min / by,
            max: self.max / by,
        }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = formatter.precision().unwrap_or(2);
        let Self { median, min, max } = self;
        write!(
            formatter,
            "{median:.digits$} ({min:.digits$} to {max:.digits$})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn spreads() {
        let check = |figures: &[f64], expected: Option<(f64, f64, f64)>| {
            let spread = Spread::of(figures.iter().copied());
            let expected = expected.map(|(median, min, max)| Spread { median, min, max });
            assert_eq!(spread, expected, "{figures:?}");
        };
        check(&[], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[4.0, 1.0], Some((2.5, 1.0, 4.0)));
        check(&[9.0, 1.0, 2.0], Some((2.0, 1.0, 9.0)));
        let spread = Spread::of([2.0, 4.0, 8.0]).unwrap().divided_by(2.0);
        assert_eq!(format!("{spread:.1}"), "2.0 (1.0 to 4.0)");
    }
}
