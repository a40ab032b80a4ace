-- A commit waits for no lock longer than $24 milliseconds, unless somebody has set another limit: then the server
-- says that it gave up before the caller does, who would not know the outcome. The limit is gone after the
-- statement, also where that is one of a larger transaction.
SELECT
    repeated,
    commit_receipt AS receipt,
    commit_position AS last_position,
    commit_time AS committed_at,
    set_config('lock_timeout', patience.before, true)
FROM (
    SELECT
        current_setting('lock_timeout') AS before,
        CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', $24, true) ELSE '' END AS set
    OFFSET 0
) AS patience
CROSS JOIN LATERAL {schema}.commit_v1(
    -- So that it comes after the setting.
    CASE WHEN patience.set IS NOT NULL THEN $1::uuid END,
    $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
)
