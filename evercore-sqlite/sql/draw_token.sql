UPDATE evercore_last_fencing_token SET token = token + 1 RETURNING token
