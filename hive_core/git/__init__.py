"""Git: repositories that only hive writes, over pygit2, and how commits come in from those that agents write."""
