INSERT INTO evercore_snapshots (aggregate_id, sequence, fingerprint, codec, payload) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (aggregate_id) DO UPDATE SET
    sequence = excluded.sequence,
    fingerprint = excluded.fingerprint,
    codec = excluded.codec,
    payload = excluded.payload
WHERE excluded.sequence >= sequence
