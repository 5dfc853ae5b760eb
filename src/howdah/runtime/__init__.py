"""PHP's life in this process, and the sites it serves. Knows requests as data and imports no asyncio."""
