"""The sockets' face."""
