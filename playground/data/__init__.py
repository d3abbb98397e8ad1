"""Data sets by name: embedded, downloaded, or a person's own pictures.

    load("mnist"), load("emoji:32"), load("moons"), load("own:TOKEN"), load(Path("pictures.zip"))

A loaded set has `info`, `train` and `test`; `train.batch(indices)` gives what a model takes.
"""

from playground.data.folders import root
from playground.data.imagefolder import Report
from playground.data.library import Listing, catalogue, download, load
from playground.data.pictures import BadData, ImageData, Pictures
from playground.data.points import PointData, Points
from playground.data.readers import class_text
from playground.data.uploads import delete, report, upload

__all__ = [
    "BadData",
    "ImageData",
    "Listing",
    "Pictures",
    "PointData",
    "Points",
    "Report",
    "catalogue",
    "class_text",
    "delete",
    "download",
    "load",
    "report",
    "root",
    "upload",
]
