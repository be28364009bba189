"""The work queue: what needs somebody, derived from what is known, and who has taken it on."""
