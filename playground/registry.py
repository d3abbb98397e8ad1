"""Finds the families: every module in `playground.families.image` and `.speech` that defines FAMILY.

This is the only list of families. A module that fails to import is kept as a failure, shown by the interface as
an error tab and by the tests as a failure.
"""

from __future__ import annotations

import importlib
import pkgutil
import traceback
from functools import cache
from pathlib import Path
from types import ModuleType

from playground.contract import Family

ORDER = {
    "image": ("pca", "autoencoder", "vae", "gan", "ddpm", "score_sde", "dalle", "vit_gan"),
    "speech": ("hmm", "gmm", "wavenet", "tacotron", "transformer_tts", "vq_vae", "melgan"),
}
"""Order of the tabs: the history of the field. Families not named here come after, by name."""


class UnknownFamily(KeyError):
    """No family of that name; the message lists those there are."""

    def __str__(self) -> str:
        return str(self.args[0])


@cache
def _scan() -> tuple[dict[str, Family], dict[str, Path], dict[str, str]]:
    found: dict[str, Family] = {}
    roots: dict[str, Path] = {}
    failed: dict[str, str] = {}
    for kind in ("image", "speech"):
        package = importlib.import_module(f"playground.families.{kind}")
        names = [module.name for module in pkgutil.iter_modules(package.__path__)]
        known = {name: place for place, name in enumerate(ORDER[kind])}
        for name in sorted(names, key=lambda name: (known.get(name, len(known)), name)):
            try:
                module = importlib.import_module(f"{package.__name__}.{name}")
                found[name] = module.FAMILY
                place = Path(str(module.__file__)).resolve()
                roots[name] = (place.parent if place.stem == "__init__" else place).parents[3]
            except Exception:  # whatever is wrong with one family must not take the others down
                failed[name] = traceback.format_exc()
    return found, roots, failed


def families() -> dict[str, Family]:
    """The registered families by name, in the order of their tabs."""
    return _scan()[0]


def failures() -> dict[str, str]:
    """Families that could not be imported, with the traceback of each."""
    return _scan()[2]


def family(name: str) -> Family:
    """The family of that name. Raises `UnknownFamily`."""
    if name not in families():
        raise UnknownFamily(f"no family is called {name!r}; there are {', '.join(families())}")
    return families()[name]


def root(name: str) -> Path:
    """The folder that holds the family's `playground`, `trainers` and `checkpoints` folders."""
    family(name)
    return _scan()[1][name]


def trainer(name: str) -> ModuleType:
    """The module `trainers.NAME`: its `Recipe`, `PRESETS` and `train`."""
    return importlib.import_module(f"trainers.{family(name).name}")


def reference(name: str) -> ModuleType:
    """The module that holds the family's counterpart; imports its library, which may take seconds."""
    return importlib.import_module(family(name).reference.module)


def vocoders() -> list[tuple[str, str]]:
    """(family, "ours" or "reference") of every model that makes sound of mels: it has `vocode`, its reference says so."""
    ours = [(name, "ours") for name, known in families().items() if hasattr(known.Model, "vocode")]
    return ours + [(name, "reference") for name, known in families().items() if known.reference.vocodes]
