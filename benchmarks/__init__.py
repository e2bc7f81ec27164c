"""Benchmarks: each measures hive beside a peer, in turns, in the same run."""
