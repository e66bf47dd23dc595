"""What is true: aggregates, their events, and the rules with numbers; imports nothing of ours outside this package."""
