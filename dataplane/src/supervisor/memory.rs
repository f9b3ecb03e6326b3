//! When the supervisor gives memory back that it has freed: once a configuration was compiled, and
//! never between two that follow each other closely.

use crate::io::memory;

/// Sees configurations come.
#[derive(Default)]
pub struct Memory {
    is_configured: bool,
    /// As [`Self::is_configured`], a look ago.
    was_configured: bool,
    has_started: bool,
}

impl Memory {
    /// A configuration was compiled, and the one before it will be freed.
    pub fn configured(&mut self) {
        self.is_configured = true;
    }

    /// To be called every second.
    pub fn tick(&mut self) {
        if self.is_due() {
            memory::give_back();
            if !std::mem::replace(&mut self.has_started, true) {
                memory::unmap_code();
            }
        }
    }

    fn is_due(&mut self) -> bool {
        let is_configured = std::mem::take(&mut self.is_configured);
        std::mem::replace(&mut self.was_configured, is_configured) && !is_configured
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn once_no_more_configurations_come() {
        let mut memory = Memory::default();
        for (index, (is_configured, expected)) in [
            (true, false),
            (true, false),
            (false, true),
            (false, false),
            (true, false),
            (false, true),
        ]
        .into_iter()
        .enumerate()
        {
            if is_configured {
                memory.configured();
            }
            assert_eq!(memory.is_due(), expected, "step {index}");
        }
    }
}
