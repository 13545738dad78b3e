"""PostgreSQL and Redis of our own, for whoever sets no DATABASE_URL or REDIS_URL."""

from app.embedded.servers import Addresses, reached, running, servers

__all__ = ["Addresses", "reached", "running", "servers"]
