"""Watching files: patterns, what changed, and whom to tell."""
