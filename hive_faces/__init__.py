"""Faces: how one calls. The shell, the sockets, and what is run for long."""
