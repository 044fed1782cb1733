"""Who may come in, and as whom: credentials, the token endpoints, and the guard on every method."""
