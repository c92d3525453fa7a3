from __future__ import annotations

from maestro.control.client import Client
from tests.control.fake import Served


def test_a_call_is_answered(served: Served) -> None:
    served.start()
    assert Client(served.path).call("hello")["role"] == "admin"
    assert Client(served.path).call("status")["units"][0]["name"] == "researcher"
