"""Agents: their rows, how they are, how they were last seen."""
