//! ◇ Log-linear buckets of latency: 16 steps per power of two, so at most 6 % wide.

/// Buckets: up to 2^36 µs, 19 hours.
pub(super) const BUCKETS: usize = (35 - 3) * 16 + 16;

/// The bucket of a latency; what is longer than the last one goes into it.
pub(super) fn bucket(us: u64) -> usize {
    if us < 16 {
        return us as usize;
    }
    let power = us.ilog2() as usize;
    let step = (us >> (power - 4)) as usize & 15;
    ((power - 3) * 16 + step).min(BUCKETS - 1)
}

/// The largest latency that falls into a bucket.
pub(super) fn upper_bound(bucket: usize) -> u64 {
    if bucket < 16 {
        return bucket as u64;
    }
    let power = bucket / 16 + 3;
    let width = 1_u64 << (power - 4);
    (16 + bucket as u64 % 16) * width + width - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_buckets_touch() {
        for bucket_now in 0..BUCKETS - 1 {
            let bound = upper_bound(bucket_now);
            assert_eq!(bucket(bound), bucket_now);
            assert_eq!(bucket(bound + 1), bucket_now + 1);
        }
    }

    proptest! {
        #[test]
        fn a_latency_is_told_to_a_sixteenth(us in 0_u64..(1 << 36)) {
            let bound = upper_bound(bucket(us));
            prop_assert!(us <= bound && bound - us <= us / 16);
        }
    }
}
