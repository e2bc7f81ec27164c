"""Messages: rows, and what the system tells by them."""
