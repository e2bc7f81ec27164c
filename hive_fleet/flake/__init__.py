"""The meta flake: its lock, its log, and where its inputs come from."""
