"""What runs beside an agent, inside its container: light imports, nothing but the standard library."""
