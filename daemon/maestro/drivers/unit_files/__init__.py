"""The directories that unit files are read from. Reads and links; what the files mean is the model's."""

from maestro.drivers.unit_files.directories import UnitDirectories as UnitDirectories
from maestro.drivers.unit_files.reader import LARGEST as LARGEST
from maestro.drivers.unit_files.writing import put as put
