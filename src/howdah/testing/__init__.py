"""Public test kit; nothing in the package imports it."""
