"""How it comes to be: commands and the event log they append to; imports domain, never read_side."""
