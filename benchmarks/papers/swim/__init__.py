"""SWIM's figures 2 to 4 (Das, Gupta, Motivala: DSN 2002) on the core that ships."""
