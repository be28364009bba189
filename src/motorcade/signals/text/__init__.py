"""Numbers, truths and names in ASCII text, compiled: Tesla's strings and JSON share them."""
