DELETE FROM evercore_failed_deliveries WHERE subscription = ?1 AND position = ?2
