"""Upkeep: what is old or left over is removed, a little at a time, and who uses how much of the disk."""
