"""What Tesla says in words of its own where RFC 6749 has others: clients match on them."""

from authlib.oauth2.rfc6749 import OAuth2Error


class LoginRequiredError(OAuth2Error):
    """401 in Tesla's words: clients sign in anew on it."""

    error = "login_required"
    description = "The refresh_token is invalid"
    status_code = 401


class AuthCodeError(OAuth2Error):
    """400 in Tesla's word for RFC 6749's `invalid_grant`."""

    error = "invalid_auth_code"
    description = "The code is invalid, used, or over"


class RedirectError(OAuth2Error):
    """400: the redirect URI is not, to the letter, one of the app's, or not that of the code."""

    error = "invalid_redirect_url"
    description = "The redirect_uri is not registered for this app, or not the one of the code"
