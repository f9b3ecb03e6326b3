//! Whether two runs differ by more than they vary within themselves.
//!
//! A run is a row of intervals. Two rows are compared by their ranks (Mann and Whitney's test),
//! which asks nothing of how latencies are distributed. Intervals that follow one another resemble
//! each other, which makes a row say less than its length; the test allows for that with the row's
//! correlation with itself, one interval later.
//!
//! What no arithmetic can tell from one run of each: whether the machine was in another mood.

/// Fewer intervals than this in either run say nothing.
pub(super) const INTERVALS_MIN: usize = 8;

/// Of the normal distribution: one in a hundred pairs of equal runs exceeds it by chance.
const DEVIATIONS: f64 = 2.576;

/// How two rows of measurements lie to one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// There is not enough to judge by.
    TooLittle,
    /// As far apart as two parts of the same run may be.
    Noise,
    /// Further apart than that.
    Differs,
}

/// Compares two rows of measurements, each in the order of time.
pub(super) fn rows(first: &[f64], second: &[f64]) -> Finding {
    if first.len().min(second.len()) < INTERVALS_MIN {
        return Finding::TooLittle;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (rank_sum, ties) = rank_sum(first, second);
    let distance = (rank_sum - n * (n + m + 1.0) / 2.0).abs() - 0.5;
    let all = n + m;
    let variance = n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    let kinship = correlation(first).max(correlation(second));
    let deviation = (variance * (1.0 + kinship) / (1.0 - kinship)).sqrt();
    // All values are the same: no deviation, and no distance either.
    if distance > DEVIATIONS * deviation && distance > 0.0 {
        Finding::Differs
    } else {
        Finding::Noise
    }
}

/// Compares two shares, each as a count of a total.
pub(super) fn shares(first: (u64, u64), second: (u64, u64)) -> Finding {
    let (failed, all) = (first.0 + second.0, first.1 + second.1);
    if first.1 == 0 || second.1 == 0 {
        return Finding::TooLittle;
    }
    if failed == 0 {
        return Finding::Noise;
    }
    if failed < COUNT_MIN {
        return Finding::TooLittle;
    }
    let share = |(part, whole): (u64, u64)| part as f64 / whole as f64;
    let pooled = failed as f64 / all as f64;
    let variance = pooled * (1.0 - pooled) * (1.0 / first.1 as f64 + 1.0 / second.1 as f64);
    if (share(first) - share(second)).abs() > DEVIATIONS * variance.sqrt() {
        Finding::Differs
    } else {
        Finding::Noise
    }
}

/// Fewer events than this in both runs together come in numbers of chance.
const COUNT_MIN: u64 = 10;

/// Sum of the ranks of `first` among all values, and the correction for equal ones: the sum of
/// t^3 - t over groups of t equal values.
fn rank_sum(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mine = first.iter().map(|value| (*value, true));
    let theirs = second.iter().map(|value| (*value, false));
    let mut all: Vec<(f64, bool)> = mine.chain(theirs).collect();
    all.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut sum, mut ties, mut start) = (0.0, 0.0, 0);
    for group in all.chunk_by(|one, other| one.0 == other.0) {
        let size = group.len() as f64;
        let rank = start as f64 + (size + 1.0) / 2.0;
        sum += rank * group.iter().filter(|(_, is_mine)| *is_mine).count() as f64;
        ties += size * size * size - size;
        start += group.len();
    }
    (sum, ties)
}

/// Of a row with itself, one later: from 0 to 0.9.
fn correlation(row: &[f64]) -> f64 {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    let square: f64 = row.iter().map(|value| (value - mean).powi(2)).sum();
    let product: f64 = row
        .windows(2)
        .map(|pair| (pair[0] - mean) * (pair[1] - mean))
        .sum();
    if square > 0.0 {
        (product / square).clamp(0.0, 0.9)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Around `middle`, by up to 5 % and without a trend.
    fn row(middle: f64, count: usize, seed: usize) -> Vec<f64> {
        (0..count)
            .map(|index| {
                let step = (index * 7919 + seed * 104_729) % 101;
                middle * (0.95 + step as f64 / 1000.0)
            })
            .collect()
    }

    #[test]
    fn rows_of_measurements() {
        for (first, second, expected) in [
            (row(100.0, 30, 1), row(100.0, 30, 2), Finding::Noise),
            (row(100.0, 30, 1), row(101.0, 30, 2), Finding::Noise),
            (row(100.0, 30, 1), row(110.0, 30, 2), Finding::Differs),
            (row(110.0, 30, 1), row(100.0, 30, 2), Finding::Differs),
            (row(100.0, 7, 1), row(200.0, 30, 2), Finding::TooLittle),
            (row(100.0, 8, 1), row(200.0, 8, 2), Finding::Differs),
            (vec![5.0; 20], vec![5.0; 20], Finding::Noise),
            (vec![5.0; 20], vec![6.0; 20], Finding::Differs),
        ] {
            assert_eq!(rows(&first, &second), expected, "{first:?} {second:?}");
        }
    }

    /// A run that drifts, cut in two, is no pair of different runs as soon as its drift is seen.
    #[test]
    fn a_drift_counts_for_less_than_a_step() {
        let drift: Vec<f64> = (0..20).map(|index| 100.0 + f64::from(index / 4)).collect();
        let shifted: Vec<f64> = drift.iter().map(|value| value + 2.0).collect();
        assert_eq!(rows(&drift, &shifted), Finding::Noise);
        // The same values, so that none tells anything of the next.
        let mixed: Vec<f64> = (0..20).map(|index| drift[index * 7 % 20]).collect();
        let shifted: Vec<f64> = mixed.iter().map(|value| value + 2.0).collect();
        assert_eq!(rows(&mixed, &shifted), Finding::Differs);
    }

    #[test]
    fn shares_of_counts() {
        for (first, second, expected) in [
            ((0, 1000), (0, 1000), Finding::Noise),
            ((0, 1000), (9, 1000), Finding::TooLittle),
            ((0, 1000), (20, 1000), Finding::Differs),
            ((100, 1000), (110, 1000), Finding::Noise),
            ((0, 0), (20, 1000), Finding::TooLittle),
            ((1000, 1000), (1000, 1000), Finding::Noise),
        ] {
            assert_eq!(shares(first, second), expected, "{first:?} {second:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_of_runs_decides_nothing(
            first in prop::collection::vec(0.0f64..1e6, 0..40),
            second in prop::collection::vec(0.0f64..1e6, 0..40),
        ) {
            prop_assert_eq!(rows(&first, &second), rows(&second, &first));
            prop_assert_ne!(rows(&first, &first), Finding::Differs);
        }
    }
}
