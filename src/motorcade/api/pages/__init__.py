"""Pages for people, plain HTML made here: sign in, consent, what apps hold, registering an app."""
