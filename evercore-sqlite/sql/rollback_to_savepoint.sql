ROLLBACK TO evercore
