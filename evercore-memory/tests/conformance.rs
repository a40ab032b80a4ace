//! The memory engine passes the suite.

use evercore::conformance::{self, Harness, archive::ArchiveHarness};
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

/// What it stores is gone with its process, so the first version writes right before the others read.
impl ArchiveHarness for Memory {
    async fn restore() -> Self {
        let memory = Self::create().await;
        conformance::archive::write(memory.open().await).await;
        memory
    }

    async fn keep(self) {}
}

evercore::conformance_tests!(Memory);
evercore::archive_tests!(Memory);
