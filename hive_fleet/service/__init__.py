"""hive as a service of the machine's service manager: its units, where they lie, and how they are made known."""
