"""What both sides need of PostgreSQL; adapters and bootstrap alone use it."""
