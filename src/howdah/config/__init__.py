"""Configuration: the model, and the Caddyfile that is read into it. Needs neither PHP nor a server."""
