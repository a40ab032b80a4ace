//! The memory engine passes the suite.

use evercore::conformance::Harness;
use evercore_memory::MemoryEngine;

struct Memory(MemoryEngine);

impl Harness for Memory {
    type Engine = MemoryEngine;

    async fn create() -> Self {
        Self(MemoryEngine::new())
    }

    async fn open(&self) -> MemoryEngine {
        self.0.reopen()
    }
}

evercore::conformance_tests!(Memory);
