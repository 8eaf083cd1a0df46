"""The formats that a network is exported to: a file each, in which it registers itself.

Every module of this folder is imported here. None imports a framework, so help and refusals come at once; what writes
and opens the files is in `keras_segnet.exporting`, and imported when it is used.
"""

import importlib
import pkgutil

from keras_segnet.formats.registry import FORMATS, Format, Option, check_options, export_format

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["FORMATS", "Format", "Option", "check_options", "export_format"]
