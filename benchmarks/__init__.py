"""What the project is worth, in figures: quality by the bars of each family, speed beside its peers."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
