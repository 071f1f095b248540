//! Where randomness comes from: ids, seeds and nonces are drawn here and nowhere else, so that a test can throw seeded
//! dice.

/// Draws random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with bytes nobody can predict.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn Entropy + '_ {
    /// `N` fresh bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

/// The operating system's generator.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that draws from the system")]
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("cannot fail: the kernel's generator is ready before any service starts");
    }
}
