"""Inner loops of search and re-ranking, over plain arrays: compiled by numba where it is.

Imported inside the functions that run them, because numba takes a second to load.
"""
