"""OAuth 2.0 and OpenID Connect in Tesla's shape: tokens for apps, by Authlib's core and joserfc."""
