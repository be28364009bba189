"""Plain commands between cloud and car: messages, signatures, log payloads. Sans-IO."""
