"""Settings of both programs: declared once, read from files, the environment and flags, explained."""
