"""Takes agents' output from their pipes to files, inside the kernel, and reads it back."""

from maestro.drivers.log_files.files import LogFiles

__all__ = ["LogFiles"]
