"""A playground for generative models: fifteen families, each implemented from its paper."""

from pkgutil import extend_path

# A family may live in another folder on the PYTHONPATH that repeats this package's layout.
__path__ = extend_path(__path__, __name__)
