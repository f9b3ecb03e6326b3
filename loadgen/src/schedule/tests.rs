use proptest::prelude::*;

use super::*;

const WHOLE: Share = Share {
    worker: 0,
    workers: 1,
};

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A constant rate without ramp or warm-up.
fn even(rate: f64, stop: Stop, share: Share) -> Schedule {
    let zero = Duration::ZERO;
    Schedule::new(rate, Arrivals::Constant, zero, zero, stop, share)
}

/// All due times, as long as there are not more than a million.
fn times(mut schedule: Schedule) -> Vec<Nanos> {
    let mut times = Vec::new();
    while let Some(due) = schedule.due() {
        times.push(due);
        schedule.advance();
        assert!(times.len() < 1_000_000, "it does not end");
    }
    times
}

fn check(rate: f64, stop: Stop, worker: u64, workers: u64, expected_millis: &[u64]) {
    let schedule = even(rate, stop, Share { worker, workers });
    let due: Vec<u64> = times(schedule).iter().map(|due| due / 1_000_000).collect();
    assert_eq!(due, expected_millis, "{rate}/s, {worker} of {workers}");
}

#[test]
fn due_times() {
    let after = |count| Stop::After(millis(count));
    let tenths = [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000];
    check(10.0, after(1000), 0, 1, &tenths[..10]);
    check(10.0, after(1001), 0, 1, &tenths);
    check(4.0, after(1000), 0, 2, &[0, 500]);
    check(4.0, after(1000), 1, 2, &[250, 750]);
    check(4.0, after(750), 1, 2, &[250]);
    check(2.0, after(400), 1, 2, &[]);
    check(1000.0, after(3), 0, 1, &[0, 1, 2]);
    check(10.0, Stop::Requests(3), 0, 1, &tenths[..3]);
    check(10.0, Stop::Requests(3), 0, 2, &[0, 200]);
    check(10.0, Stop::Requests(3), 1, 2, &[100]);
    check(10.0, Stop::Requests(0), 0, 1, &[]);
}

#[test]
fn without_an_end_there_is_always_another_one() {
    let mut schedule = even(1e6, Stop::Asked, WHOLE);
    for index in 0..100_000 {
        assert_eq!(schedule.due(), Some(index * 1000));
        schedule.advance();
    }
}

/// 100 per second after a ramp of a second: 50 in the ramp, at 10 * sqrt(2 * index) / 100 s.
#[test]
fn a_ramp_rises_evenly() {
    let schedule = Schedule::new(
        100.0,
        Arrivals::Constant,
        millis(1000),
        Duration::ZERO,
        Stop::After(millis(2000)),
        WHOLE,
    );
    let times = times(schedule);
    let before = |millis: u64| {
        times
            .iter()
            .filter(|due| **due < millis * 1_000_000)
            .count()
    };
    assert_eq!((before(500), before(1000), before(2000)), (13, 50, 150));
    assert_eq!(times[2], 200_000_000);
}

#[test]
fn the_requests_of_the_warm_up_are_not_among_those_asked_for() {
    for workers in 1..4 {
        let counted: usize = (0..workers)
            .map(|worker| {
                let schedule = Schedule::new(
                    100.0,
                    Arrivals::Constant,
                    millis(35),
                    millis(105),
                    Stop::Requests(11),
                    Share { worker, workers },
                );
                let times = times(schedule);
                times.iter().filter(|due| **due >= 105_000_000).count()
            })
            .sum();
        assert_eq!(counted, 11, "{workers} workers");
    }
}

#[test]
fn mix() {
    check_mix(&[1], 5, &[5]);
    check_mix(&[3, 1], 8, &[6, 2]);
    check_mix(&[90, 10, 0], 1000, &[900, 100, 0]);
    check_mix(&[1, 1, 1], 4, &[2, 1, 1]);
}

fn check_mix(weights: &[u32], draws: usize, expected: &[usize]) {
    let mut mix = Mix::new(weights);
    let mut counts = vec![0; weights.len()];
    for _ in 0..draws {
        counts[mix.next()] += 1;
    }
    assert_eq!(counts, expected, "{weights:?}");
}

proptest! {
    #[test]
    fn workers_share_the_whole(
        rate in 0.1f64..20_000.0,
        workers in 1u64..8,
        millis in 1u64..2_000,
        warmup in 0u64..1_000,
        ramp in 0u64..3_000,
        requests in proptest::option::of(0u64..2_000),
    ) {
        let stop = match requests {
            Some(requests) => Stop::Requests(requests),
            None => Stop::After(Duration::from_millis(millis)),
        };
        let of = |share| {
            let (ramp, warmup) = (Duration::from_millis(ramp), Duration::from_millis(warmup));
            times(Schedule::new(rate, Arrivals::Constant, ramp, warmup, stop, share))
        };
        let mut parts: Vec<Nanos> =
            (0..workers).flat_map(|worker| of(Share { worker, workers })).collect();
        parts.sort_unstable();
        prop_assert_eq!(parts, of(WHOLE));
    }

    #[test]
    fn the_first_at_a_time_agrees_with_the_times(
        rate in 0.1f64..2_000_000.0,
        ramp in 0u64..10_000,
        at in 0u64..100_000_000_000,
    ) {
        let profile = Profile::new(rate, Duration::from_millis(ramp));
        let first = profile.first_at(at);
        prop_assert!(profile.time_of(first as f64) >= at);
        prop_assert!(first == 0 || profile.time_of((first - 1) as f64) < at);
    }

    #[test]
    fn random_arrivals_are_those_of_their_seed_and_rate(
        seed in any::<u64>(),
        rate in 2_000.0f64..20_000.0,
    ) {
        let random = |seed| {
            let arrivals = Arrivals::Exponential { seed };
            let zero = Duration::ZERO;
            times(Schedule::new(
                rate, arrivals, zero, zero, Stop::After(Duration::from_secs(1)), WHOLE,
            ))
        };
        let times = random(seed);
        prop_assert_eq!(&times, &random(seed));
        prop_assert_ne!(&times, &random(seed.wrapping_add(1)));
        prop_assert!(times.is_sorted());
        // Seven standard deviations of a Poisson count.
        let (count, expected) = (times.len() as f64, rate);
        prop_assert!((count - expected).abs() < 7.0 * expected.sqrt(), "{count} of {expected}");
        // The distances of a Poisson process have the same mean and standard deviation.
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]) as f64);
        let mean = 1e9 / rate;
        let squares: f64 = gaps.map(|gap| (gap - mean).powi(2)).sum();
        let deviation = (squares / count).sqrt();
        prop_assert!((deviation / mean - 1.0).abs() < 0.3, "{deviation} of {mean}");
    }

    #[test]
    fn exact_numbers_of_random_arrivals(
        workers in 1u64..8,
        requests in 0u64..500,
        warmup in 0u64..50,
    ) {
        let warmup = Duration::from_millis(warmup);
        let counted: usize = (0..workers)
            .map(|worker| {
                let arrivals = Arrivals::Exponential { seed: 1 };
                let stop = Stop::Requests(requests);
                let share = Share { worker, workers };
                let schedule =
                    Schedule::new(5_000.0, arrivals, Duration::ZERO, warmup, stop, share);
                times(schedule).iter().filter(|due| **due >= nanos(warmup)).count()
            })
            .sum();
        prop_assert_eq!(counted as u64, requests);
    }
}
