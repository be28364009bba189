"""gRPC: the messages and methods of our own service, and the errors' details."""
