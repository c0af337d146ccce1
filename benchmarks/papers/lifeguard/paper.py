"""What the paper found (arXiv 1707.00788v2): tables IV to VII as printed, figure 2 read off its log axis."""

RUNS_PER_C = 480
"""Interval runs of each configuration with one number of anomalous members: 6 lengths, 8 pauses, 10 times."""

FALSE_POSITIVES = {
    "SWIM": (100.0, 100.0),
    "LHA-Probe": (67.72, 32.88),
    "LHA-Suspicion": (3.00, 6.71),
    "Buddy System": (94.08, 44.57),
    "Lifeguard": (1.53, 1.89),
}
"""Table IV: FP and FP-, per cent of SWIM's 339,002 and 1,326."""

LATENCY = {
    "SWIM": (12.44, 16.96, 19.40, 12.90, 16.93, 20.17),
    "LHA-Probe": (12.42, 17.75, 20.10, 12.90, 17.98, 20.56),
    "LHA-Suspicion": (12.42, 17.47, 25.41, 12.89, 17.33, 23.80),
    "Buddy System": (12.45, 17.12, 19.16, 12.92, 17.18, 19.81),
    "Lifeguard": (12.45, 17.90, 21.20, 12.91, 18.05, 21.68),
}
"""Table V, seconds: first detection (median, 99 %, 99.9 %), then full dissemination."""

LOAD = {
    "SWIM": (100.0, 100.0),
    "LHA-Probe": (98.46, 90.03),
    "LHA-Suspicion": (111.31, 106.52),
    "Buddy System": (100.07, 99.01),
    "Lifeguard": (110.59, 97.97),
}
"""Table VI: messages and bytes, per cent of SWIM's."""

TUNINGS = {
    "median first": (53.14, 54.10, 54.34, 82.96, 83.04, 83.12, 99.76, 99.52, 100.08),
    "median full": (55.12, 56.28, 56.74, 84.42, 84.03, 84.42, 99.92, 99.61, 100.08),
    "99 % first": (69.81, 72.88, 75.53, 94.28, 96.17, 96.82, 104.95, 102.71, 105.54),
    "99 % full": (73.07, 76.96, 79.15, 97.05, 96.69, 96.52, 105.73, 105.08, 106.62),
    "99.9 % first": (76.08, 75.41, 80.36, 99.07, 93.71, 94.69, 112.32, 111.44, 109.28),
    "99.9 % full": (76.20, 75.11, 78.58, 92.17, 95.14, 92.71, 107.64, 107.93, 107.49),
    "FP": (98.37, 43.64, 24.16, 37.72, 8.04, 3.18, 26.61, 5.43, 1.53),
    "FP-": (31.15, 22.47, 13.65, 20.29, 9.50, 4.83, 15.38, 5.05, 1.89),
}
"""Table VII: Lifeguard in per cent of SWIM; alpha 2, 4, 5, and for each beta 2, 4, 6."""

BY_ANOMALOUS = {
    "SWIM": {
        1: 900,
        4: 6000,
        8: 11_000,
        12: 23_000,
        16: 34_000,
        20: 45_000,
        24: 59_000,
        28: 77_000,
        32: 82_000,
    },
    "LHA-Suspicion": {1: 50, 4: 310, 8: 140, 12: 580, 16: 1350, 20: 1120, 24: 1760, 28: 2900, 32: 1960},
    "Lifeguard": {1: 18, 4: 145, 8: 110, 12: 225, 16: 570, 20: 750, 24: 840, 28: 1330, 32: 1190},
}
"""Figure 2: all false positives of a configuration by the number of anomalous members."""
