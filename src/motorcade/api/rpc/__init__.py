"""gRPC: the same rights, limits and streams as HTTP, typed."""
