"""Who drives whose vehicle, by invitation; where an account lives; which app is registered."""
