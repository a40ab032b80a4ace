SELECT repeated, commit_receipt AS receipt, commit_position AS last_position, commit_time AS committed_at
FROM {schema}.commit_v1(
    $1::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
)
