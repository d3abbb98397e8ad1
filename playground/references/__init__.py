"""The counterpart of each family in a well-known library, a file of the same name."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
