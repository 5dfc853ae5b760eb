"""Recipes that make third-party PHP applications runnable from one folder, for tests, tutorials and benchmarks."""
