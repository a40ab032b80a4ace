//! PostgreSQL engine
