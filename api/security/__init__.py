"""Who may do what: API keys and their scopes, and who calls where there are none."""
