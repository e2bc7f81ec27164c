"""Nouns: what several operations share, a folder each, the only place with SQL of its tables."""
