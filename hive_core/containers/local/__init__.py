"""The embedded backend: each agent a supervised process tree on this machine, in the strongest sandbox there is."""
