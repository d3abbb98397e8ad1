"""What the generated pictures are worth: the digit judge and the figures measured with it."""

from playground.metrics.digit_judge import judge
from playground.metrics.frechet import frechet_distance, rfd, rfd_floor, statistics
from playground.metrics.manifolds import precision_recall
from playground.metrics.recognition import recognisable

__all__ = ["frechet_distance", "judge", "precision_recall", "recognisable", "rfd", "rfd_floor", "statistics"]
