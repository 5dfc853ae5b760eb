"""Parse functions, one per directive; `howdah.config.schema` lists them by name."""
