"""What can be asked: views, the queries on them, and how they are shown; imports domain."""
