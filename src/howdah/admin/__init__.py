"""The admin API: what an operator, a scraper or a tool asks a running server."""
