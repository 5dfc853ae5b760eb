"""A small Django project: notes that everybody may read and add to."""
