//! Recognises what does not compress: images, videos, archives. Looking for matches in it costs
//! as much as in text and gains nothing.

/// One sample is taken from each stretch of this length.
const STRETCH: usize = 64 * 1024;
const SAMPLE: usize = 512;
/// With fewer samples the estimate says nothing.
const FEWEST: usize = 8;
/// Bits for each byte from which on it counts as noise. Measured: random bytes 7.99 in a full frame
/// and 7.96 in the fewest samples, zip 7.95, PNG 7.85 to 7.97, machine code 6, text 5; random bytes
/// with a tenth of text in them 7.91.
const THRESHOLD: f64 = 7.92;

/// Whether nearly all of `bytes` looks random, judged by how often each byte value occurs in
/// samples (entropy of order 0, C. E. Shannon 1948).
pub(crate) fn is_noise(bytes: &[u8]) -> bool {
    let mut counts = [0_u32; 256];
    let mut total = 0_u32;
    for sample in bytes
        .chunks_exact(STRETCH)
        .map(|stretch| &stretch[..SAMPLE])
    {
        for byte in sample {
            counts[usize::from(*byte)] += 1;
        }
        total += SAMPLE as u32;
    }
    if (total as usize) < FEWEST * SAMPLE {
        return false;
    }
    let total = f64::from(total);
    let entropy: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum();
    entropy > THRESHOLD
}

#[cfg(test)]
mod tests {
    use rand::{RngCore, SeedableRng, rngs::StdRng};

    use super::*;

    fn random(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        StdRng::seed_from_u64(len as u64).fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn noise_is_told_from_content() {
        assert!(is_noise(&random(2 << 20)));
        assert!(is_noise(&random(512 << 10)));
        assert!(!is_noise(&random(100)), "too little to tell");
        let text = include_bytes!("noise.rs").repeat(1000);
        assert!(!is_noise(&text[..2 << 20]));
        let mut mixed = random(2 << 20);
        mixed[..250 << 10].copy_from_slice(&text[..250 << 10]);
        assert!(!is_noise(&mixed), "text in it is worth compressing");
    }
}
