"""The supervisors that are compared, in the order of the table's lines."""

from __future__ import annotations

from tests.bench.life import Life
from tests.bench.subjects.floor import Floor
from tests.bench.subjects.maestro import Maestro
from tests.bench.subjects.s6 import S6
from tests.bench.subjects.supervisord import Supervisord

SUBJECTS: tuple[type[Life], ...] = (Maestro, Floor, Supervisord, S6)
