"""Control groups of this host: one driver for cgroup v2, for v1 (with a v2 tree beside it or without), and for none.

What differs is data: the layout says which hierarchies there are (layout.py), and a table for each version which file
an option is written to (limits_v2.py, limits_v1.py).
"""

from __future__ import annotations

from maestro.drivers.cgroups.brake import Brake as Brake
from maestro.drivers.cgroups.events import Changes as Changes
from maestro.drivers.cgroups.events import MemoryAlarm as MemoryAlarm
from maestro.drivers.cgroups.examine import findings as findings
from maestro.drivers.cgroups.filling import Fillings as Fillings
from maestro.drivers.cgroups.groups import ControlGroups as ControlGroups
from maestro.drivers.cgroups.groups import sweep as sweep
from maestro.drivers.cgroups.layout import Layout as Layout
from maestro.drivers.cgroups.layout import detect as detect
from maestro.drivers.cgroups.layout import directories as directories
from maestro.drivers.cgroups.layout import probe as probe
from maestro.drivers.cgroups.layout import this_host as this_host
from maestro.drivers.cgroups.sampling import Gauges as Gauges
