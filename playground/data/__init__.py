"""Data sets by name: embedded, downloaded, or a person's own pictures and recordings.

    load("mnist"), load("emoji:32"), load("moons"), load("own:TOKEN"), load(Path("pictures.zip"))
    load("spoken_digits"), load("spoken_digits:16000"), load("espeak"), load("spoken_digits+own:TOKEN")

A loaded set has `info`, `train` and `test`; `train.batch(indices)` gives what a model takes.
"""

from playground.data.archive import Report
from playground.data.folders import root
from playground.data.library import Listing, catalogue, download, load
from playground.data.pictures import BadData, ImageData, Pictures
from playground.data.points import PointData, Points
from playground.data.readers import class_text
from playground.data.recordings import Recordings, SpeechData
from playground.data.uploads import delete, report, upload, upload_recordings

__all__ = [
    "BadData",
    "ImageData",
    "Listing",
    "Pictures",
    "PointData",
    "Points",
    "Recordings",
    "Report",
    "SpeechData",
    "catalogue",
    "class_text",
    "delete",
    "download",
    "load",
    "report",
    "root",
    "upload",
    "upload_recordings",
]
