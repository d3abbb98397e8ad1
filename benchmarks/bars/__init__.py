"""The bars of each family, `bars/NAME.py` with a tuple BARS; found by name, so that a new family adds its own file."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
