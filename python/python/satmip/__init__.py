"""Satellite images and what is known of their acquisition in one embedding space.

>>> import satmip
>>> model = satmip.Embedder()
>>> images = model.embed_images(["a.jpg", "b.tif"])
>>> satmip.similarity(images, images)  # cosines
"""

from . import plan
from ._satmip import Pairs, SatmipError, __version__, nearest, similarity
from .embedder import Embedder, Query

__all__ = ["Embedder", "Pairs", "Query", "SatmipError", "__version__", "nearest", "plan", "similarity"]
