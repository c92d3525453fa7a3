"""The steps of a child that is confined. Imported in the child only, before anything is hidden from it."""

from __future__ import annotations

import os

from maestro.keeper import capabilities
from maestro.keeper import namespaces as spaces
from maestro.keeper.mounts import Layer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from maestro.keeper.child import Birth


def users(birth: Birth) -> None:
    """Of a namespace of users that it was born in: before all else, for until then it is nobody."""
    if ids := birth.recipe["sandbox"].get("namespaces", {}).get("map"):
        spaces.map_ids(*ids)
        accounts = spaces.open_accounts()
        if accounts >= 0:
            spaces.take_a_share(accounts)
            os.close(accounts)


def namespaces(birth: Birth) -> None:
    if wanted := birth.recipe["sandbox"].get("namespaces"):
        if wanted.get("alone"):
            birth.accounts = spaces.open_accounts()
        spaces.enter(wanted)


def listeners(birth: Birth) -> None:
    wanted = birth.recipe["sandbox"].get("namespaces", {}).get("listeners")
    if wanted and birth.gate >= 0:
        spaces.listen(wanted, birth.gate)


def mounts(birth: Birth) -> None:
    sandbox = birth.recipe["sandbox"]
    if "mounts" not in sandbox and "propagation" not in sandbox:
        return
    layer = Layer()
    try:
        layer.lay(sandbox.get("mounts", ()), sandbox.get("propagation", "slave"))
    except BaseException:
        birth.doing = layer.doing
        raise


def bounding(birth: Birth) -> None:
    given = birth.recipe["sandbox"].get("capabilities", {})
    if "bounding" in given:
        capabilities.bound(given["bounding"])
    if given.get("ambient") or is_alone(birth):
        capabilities.keep_over_change_of_user()


def ambient(birth: Birth) -> None:
    """As the user that it has become."""
    given = birth.recipe["sandbox"].get("capabilities", {})
    if is_alone(birth):
        _be_alone(birth)
        if "bounding" in given:  # a new user namespace begins with all of them
            capabilities.bound(given["bounding"])
    if given.get("ambient"):
        capabilities.raise_ambient(given["ambient"])


def is_alone(birth: Birth) -> bool:
    return bool(birth.recipe["sandbox"].get("namespaces", {}).get("alone"))


def _be_alone(birth: Birth) -> None:
    birth.doing = "be the only user of its namespace"
    if os.geteuid() != 0:  # root has them in force as it is
        capabilities.use(capabilities.SYS_ADMIN)  # some hosts let nobody else make namespaces of users
    spaces.be_alone(birth.accounts)
    if birth.root >= 0:  # the kernel makes none for those who have changed their root
        birth.doing = "change its root"
        os.fchdir(birth.root)
        os.chroot(".")
        os.chdir("/")
    birth.doing = ""


def no_new_privileges(birth: Birth) -> None:
    if birth.recipe["sandbox"].get("no_new_privileges"):
        capabilities.gain_no_more()


def landlock(birth: Birth) -> None:
    rules = birth.recipe["sandbox"].get("landlock")
    if rules:
        from maestro.keeper import landlock

        try:
            landlock.restrict(rules)
        except landlock.Failed as failed:
            birth.doing = failed.doing
            raise


def seccomp(birth: Birth) -> None:
    wanted = birth.recipe["sandbox"].get("seccomp")
    if wanted:
        from maestro.keeper import seccomp

        seccomp.load(*wanted)
