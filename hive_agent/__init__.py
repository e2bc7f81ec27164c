"""What runs beside an agent, inside its container: light imports, nothing but the standard library."""

# The one agent that may look after others.
MANAGER = "manager"
# Where the pages of agents, and the status page, are served and looked for.
LOOPBACK = "127.0.0.1"
