"""What can go wrong with keys, certificates and tokens, and whose fault it is."""


class IdentityError(Exception):
    """Any failure of this folder."""


class SecretsError(IdentityError):
    """The machine's: a secret file is missing, damaged, or open to others; the text says which."""


class InvalidTokenError(IdentityError):
    """The bearer's: not a token of ours. Answer 401."""


class TokenExpiredError(InvalidTokenError):
    """The bearer's: a token of ours whose time is over. Answer 401, clients renew it."""


class DamagedSecretError(SecretsError):
    """The file's bytes are not those that were written."""
