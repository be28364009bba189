"""Seeing inside: the table of figures, what reads them in each process, and who asks."""
