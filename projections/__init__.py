"""What follows the log: projectors fold events into views; imports domain and read_side."""
