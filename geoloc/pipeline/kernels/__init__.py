"""The inner loops of a step, over plain arrays: compiled by numba where it is, run as Python where it is not.

Every function here is plain Python over arrays and numbers, so both ways give the same answer. The modules are
imported inside the functions that run them, because numba takes a second to load.
"""
