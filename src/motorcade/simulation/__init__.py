"""A world on one seed: the streets of a real city, and a fleet in columns that lives on them."""
