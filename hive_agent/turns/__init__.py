"""Turns: a message is taken, worked on, recorded and acknowledged."""
