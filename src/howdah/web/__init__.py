"""ASGI in front of the runtime: applications, routing and static files. Holds no thread logic."""
