"""The recipes: a file for each family, and the driver that does the chores around every loop."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
