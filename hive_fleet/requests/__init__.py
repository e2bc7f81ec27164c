"""Requests: the rows of the approval queue."""
