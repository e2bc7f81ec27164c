"""The operations, one file per concern, and the two faces that serve them: the shell and the sockets."""
