"""Which app asked what of which vehicle, when and what for: for the vehicle's owner to read."""
