"""The model families: one file each, found by playground.registry."""

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)
