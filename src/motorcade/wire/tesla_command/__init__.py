"""Tesla's vehicle-command protocol: messages, keys, tags, windows, signed settings. Sans-IO."""
