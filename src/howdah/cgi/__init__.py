"""Paths, try_files and CGI variables: pure functions on bytes."""
