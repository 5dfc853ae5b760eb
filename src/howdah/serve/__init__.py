"""Sockets, signals and the life of a server process. Knows no PHP."""
