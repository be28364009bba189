"""The JSON encoding of signals: the plain rules, and a kernel for what is plain to read."""
