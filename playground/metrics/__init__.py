"""What generated things are worth: pictures by the digit judge and the figures measured with it, offered here; speech by
`metrics.speech` and `metrics.spoken_digit_judge`, imported by name where they are used.
"""

from playground.metrics.digit_judge import judge
from playground.metrics.frechet import frechet_distance, rfd, rfd_floor, statistics
from playground.metrics.manifolds import precision_recall
from playground.metrics.recognition import recognisable

__all__ = ["frechet_distance", "judge", "precision_recall", "recognisable", "rfd", "rfd_floor", "statistics"]
