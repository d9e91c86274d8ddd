//! Chance, the same in each run.

use std::iter;

/// Who is next.
#[derive(Debug)]
pub(crate) struct Draw {
    /// For each tenant the probability of being drawn, or of one before it.
    cumulative: Vec<f64>,
}

impl Draw {
    /// The k-th of so many tenants has a weight of k to the power of minus `exponent`; 0 makes all alike.
    pub(crate) fn new(tenants: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let weights =
            iter::successors(Some(1.0), |rank| Some(rank + 1.0)).take(tenants).map(|k: f64| k.powf(-exponent));
        let sums: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        Self { cumulative: sums.into_iter().map(|it| it / sum).collect() }
    }

    /// An index, below the number of tenants.
    pub(crate) fn next(&self, random: &mut Random) -> usize {
        let point = random.unit();
        self.cumulative.partition_point(|&until| until <= point).min(self.cumulative.len().saturating_sub(1))
    }
}

/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a few instructions a number.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// From 0, which is possible, to 1, which is not.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.bits()) / (f64::from(u32::MAX) + 1.0)
    }

    /// From 1 to `most`, all alike but for the remainder of 2³² by it.
    pub(crate) fn up_to(&mut self, most: u32) -> u32 {
        self.bits() % most + 1
    }
}
