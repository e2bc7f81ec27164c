"""Watching: what changed between two looks at the agents, when to look, and the restarts that follow a crash."""
