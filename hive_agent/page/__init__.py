"""The agent's own page, and the login on it."""
