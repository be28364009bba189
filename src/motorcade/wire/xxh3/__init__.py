"""The hash that tells records of senders without sequence numbers apart. Sans-IO."""
