"""Lifeguard's tables IV to VII (Dadgar, Phillips, Currey: arXiv 1707.00788v2, 2018) on our core."""
