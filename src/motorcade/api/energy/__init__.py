"""Energy sites over HTTP: what they say, what may be set, and what has been.

Powers are watts and energies watt hours, as Tesla's clients expect; everything stored is SI. What
is shown comes from the site's own samples.
"""
