SELECT sequence, fingerprint, codec, payload FROM evercore_snapshots WHERE aggregate_id = ?1 AND sequence > ?2
