//! ◇ Which instance gets a request: the cheapest of five random ones, ejection of those that fail, slow start.
//!
//! Times are in microseconds since the edge's start.

/// Candidates looked at when there are more than `ALL`.
const CHOICES: usize = 5;
/// Up to here every candidate is looked at.
const ALL: usize = 8;
/// Failures in a row after which an instance is ejected.
pub(super) const STRIKES: u32 = 5;
/// From readiness to a full share.
const SLOW_START_US: f64 = 4e6;
const SECOND_US: u64 = 1_000_000;

/// Latencies below are all the same: their differences are noise, and one instance must not get all of a calm app's
/// requests for it.
const NOISE_US: f64 = 2_000.0;
/// Time in which an old latency counts for half.
const HALF_LIFE_US: f64 = 2e6;
/// Above it, latencies within one such step count as equal.
const STEP: f64 = 1.15;

/// What an instance costs now; the cheapest is chosen.
pub(super) fn cost(in_flight: u64, latency_us: f64, age_us: u64) -> f64 {
    let ramp = (age_us as f64 / SLOW_START_US).clamp(0.1, 1.0);
    (in_flight + 1) as f64 * stepped(latency_us) / ramp
}

fn stepped(latency_us: f64) -> f64 {
    let steps = ((latency_us / NOISE_US).max(1.0).ln() / STEP.ln()).floor();
    NOISE_US * STEP.powf(steps)
}

/// The cheapest of up to five random places below `n`, of all when `n` is at most 8. `n` must not be 0.
pub(super) fn choose(n: usize, mut random: impl FnMut() -> u64, mut cost: impl FnMut(usize) -> f64) -> usize {
    let start = (random() % n as u64) as usize;
    let mut best = (start, cost(start));
    let others = if n <= ALL { n } else { CHOICES };
    for step in 1..others {
        // Few candidates: each once, from a random one on, so that ties do not all go to the first.
        let place = if n <= ALL { (start + step) % n } else { (random() % n as u64) as usize };
        let price = cost(place);
        if price < best.1 {
            best = (place, price);
        }
    }
    best.0
}

/// What a latency average is still worth after so long without a sample: it halves every 2 s, so that nobody is passed
/// over for ever for a slow moment.
pub(super) fn faded(latency_us: f64, since_us: u64) -> f64 {
    latency_us * 0.5_f64.powf(since_us as f64 / HALF_LIFE_US)
}

/// The latency average after one more sample; samples weigh 2 % to 20 %, by the time since the last one.
pub(super) fn average(mean_us: f64, sample_us: u64, since_last_us: u64) -> f64 {
    let share = (1.0 - (-(since_last_us as f64) / 10e6).exp()).clamp(0.02, 0.2);
    mean_us + (sample_us as f64 - mean_us) * share
}

/// What a failed request counts as: fast failures must not look attractive.
pub(super) fn failure_us(median_us: f64) -> u64 {
    SECOND_US.max((10.0 * median_us) as u64)
}

/// How long the `nth` ejection lasts: 1, 2, 4 … 32 s.
pub(super) fn ejection_us(nth: u32) -> u64 {
    SECOND_US << nth.saturating_sub(1).min(5)
}

/// Whether one more of `n` may be ejected: at most half.
pub(super) fn may_eject(n: usize, ejected: usize) -> bool {
    (ejected + 1) * 2 <= n
}

/// Whether all instances are to be used, since fewer than half are well.
pub(super) fn is_panic(n: usize, well: usize) -> bool {
    well * 2 < n
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed | 1;
        move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        }
    }

    #[test]
    fn the_idle_one_is_preferred_to_the_busy_and_the_fast_to_the_slow() {
        assert!(cost(0, 5_000.0, u64::MAX) < cost(1, 5_000.0, u64::MAX));
        assert!(cost(3, 10_000.0, u64::MAX) < cost(0, 50_000.0, u64::MAX));
    }

    #[test]
    fn differences_that_are_noise_do_not_decide() {
        assert!((cost(0, 300.0, u64::MAX) - cost(0, 1_900.0, u64::MAX)).abs() < 1e-9);
    }

    #[test]
    fn who_was_slow_once_is_tried_again() {
        assert!(cost(0, faded(40_000.0, 20_000_000), u64::MAX) <= cost(0, 1_000.0, u64::MAX));
    }

    #[test]
    fn a_new_instance_gets_a_tenth_first_and_its_full_share_after_four_seconds() {
        assert!((cost(0, 1_000.0, 0) / cost(0, 1_000.0, u64::MAX) - 10.0).abs() < 1e-9);
        assert!((cost(0, 1_000.0, 4_000_000) - cost(0, 1_000.0, u64::MAX)).abs() < 1e-9);
    }

    #[test]
    fn ejection_doubles_up_to_32_seconds_and_leaves_half() {
        let spans: Vec<u64> = (1..8).map(|nth| ejection_us(nth) / SECOND_US).collect();
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 32]);
        assert!(!may_eject(1, 0) && may_eject(2, 0) && !may_eject(2, 1) && may_eject(8, 3) && !may_eject(8, 4));
    }

    #[test]
    fn equal_instances_share_evenly() {
        let (mut next, mut got) = (random(7), [0_u32; 4]);
        for _ in 0..4_000 {
            got[choose(4, &mut next, |_| 1.0)] += 1;
        }
        assert!(got.iter().all(|n| (800..1_200).contains(n)), "{got:?}");
    }

    #[test]
    fn one_that_fails_at_once_repels() {
        let mut mean = 20_000.0;
        for _ in 0..STRIKES {
            mean = average(mean, failure_us(20_000.0), 1_000_000);
        }
        assert!(cost(0, mean, u64::MAX) > cost(8, 20_000.0, u64::MAX));
    }

    proptest! {
        #[test]
        fn the_choice_exists_and_is_the_cheapest_of_few(costs in proptest::collection::vec(0.0_f64..1e9, 1..=8), seed: u64) {
            let chosen = choose(costs.len(), random(seed), |place| costs[place]);
            prop_assert!(costs.iter().all(|other| costs[chosen] <= *other));
        }

        #[test]
        fn the_choice_among_many_exists(n in 9_usize..200, seed: u64) {
            prop_assert!(choose(n, random(seed), |place| place as f64) < n);
        }

        #[test]
        fn the_average_stays_between_its_samples(mean in 0.0_f64..1e8, sample in 0_u64..100_000_000, since: u64) {
            let next = average(mean, sample, since);
            let (low, high) = (mean.min(sample as f64), mean.max(sample as f64));
            prop_assert!(next >= low - 1e-6 && next <= high + 1e-6);
        }
    }
}
