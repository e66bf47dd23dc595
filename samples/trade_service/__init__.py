"""A trade service to try the application against: it says whose executions are, and fails in every way one asks for."""
