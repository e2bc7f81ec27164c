"""Notifications: what needs the operator, carried to where they are."""
