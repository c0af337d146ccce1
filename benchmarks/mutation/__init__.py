"""Are the tests good enough? Bugs are put into the core on purpose, and what notices them is listed."""
