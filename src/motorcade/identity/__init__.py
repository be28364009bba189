"""Identity: our certificate authority, the key that signs commands, access tokens."""
