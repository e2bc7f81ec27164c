"""The shared ground: what every operation stands on. Knows no concern and no face."""

__version__ = "0.1.0"
