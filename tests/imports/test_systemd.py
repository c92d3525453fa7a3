"""Units of systemd: small ones in the style of those that packages install."""

from __future__ import annotations

import pytest

from tests.imports.looks import brought, remark, unit

WEB = """\
[Unit]
Description=A web server
Documentation=man:web(8) https://example.org/docs
After=network.target db.service nscd.service
Requires=db.service
Wants=postfix.service
ConditionPathExists=!/etc/web/off

[Service]
Type=notify
EnvironmentFile=-/etc/default/web
Environment="A=1 2" B=%n
ExecStartPre=-/usr/bin/install -d /run/web
ExecStart=/usr/sbin/web -D \\
    # a comment in between
    --name %n
ExecReload=/bin/kill -HUP $MAINPID
KillMode=process
KillSignal=SIGQUIT
TimeoutStopSec=5
Restart=on-failure
RestartPreventExitStatus=255
RuntimeDirectory=web
RuntimeDirectoryMode=0755
LimitNOFILE=4096
MemoryMax=512M
CPUQuota=150%
PrivateTmp=true
ProtectSystem=full
IPAddressDeny=any
Resart=always

[Install]
WantedBy=multi-user.target
Alias=www.service
"""
DB = "[Service]\nExecStart=/usr/bin/db\n"


def test_a_service_as_packages_have_it() -> None:
    found = brought(WEB, "lib/web.service", ("lib/db.service", DB))
    data = unit(found, "web.agent.yaml")
    assert data["unit"] == {
        "description": "A web server",
        "documentation": ["man:web(8)", "https://example.org/docs"],
        "after": ["db", "nscd"],
        "requires": ["db"],
        "wants": ["postfix"],
    }
    assert data["condition"] == {"path_exists": ["!/etc/web/off"]}
    agent = data["agent"]
    assert agent["exec"].split() == ["/usr/sbin/web", "-D", "--name", "%n.service"]
    assert agent["type"] == "notify"
    assert agent["environment"] == {"A": "1 2", "B": "%n.service"}
    assert agent["environment_file"] == ["-/etc/default/web"]
    assert agent["exec_start_pre"] == ["-/usr/bin/install -d /run/web"]
    assert agent["stop"] == {"kill_mode": "process", "sequence": ["QUIT 5s", "KILL"]}
    assert agent["restart"] == {"policy": "on-failure", "profile": "systemd", "prevent_exit_status": ["255"]}
    assert agent["limits"] == {"nofile": "4096"}
    assert data["resources"] == {"memory_max": "512M", "tasks_max": "infinity", "cpu_max": "150%"}
    assert data["sandbox"] == {"private_tmp": True, "protect_system": "full"}
    assert data["install"] == {"wanted_by": ["default.target"], "alias": ["www"]}


def test_each_line_of_it_has_a_remark_that_an_operator_understands() -> None:
    found = brought(WEB, "lib/web.service", ("lib/db.service", DB))
    mine = [one for one in found if one.file == "web.agent.yaml"]
    assert remark(mine, 4).grade == "approximated"
    assert "network.target is left out: the host has that behind it" in remark(mine, 4).words
    assert (
        "nscd.service is not imported with this one: it counts once there is a unit nscd"
        in remark(mine, 4).words
    )
    assert (remark(mine, 5).grade, remark(mine, 5).words) == ("exact", "unit.requires")
    assert remark(mine, 30).words == "Maestro filters no packets: sandbox.network says what an agent reaches"
    assert str(remark(mine, 31)) == (
        "lib/web.service:31: dropped: Resart: no such setting of systemd is known (did you mean Restart?)"
    )
    assert remark(mine, 34).words == "install.wanted_by: multi-user.target is default.target here"


@pytest.mark.parametrize(
    ("line", "grade", "words"),
    [
        ("Requires=gone.service", "dropped", "unit.requires"),
        ("After=x.socket", "dropped", "Maestro has no socket units"),
        ("OnFailureJobMode=fail", "dropped", "as its own rules say"),
        ("StartLimitIntervalSec=30", "exact", "agent.restart.start_limits"),
        ("ConditionSecurity=selinux", "dropped", "started without the question"),
        ("Nonsense", "dropped", "neither a section nor NAME=VALUE"),
        ("[Service]\nNice=high", "dropped", "'high' is not a whole number"),
        ("[Service]\nNice=40", "dropped", "agent.nice: 40 is too large: it is 19 or less"),
        ("[Service]\nUser=", "exact", "as if it was not given"),
        ("[Service]\nType=dbus", "approximated", "Maestro knows no bus"),
        ("[Service]\nKillMode=none", "approximated", "leaves nothing running"),
        ("[Service]\nSendSIGKILL=no", "dropped", "KILL is always the last"),
        ("[Service]\nStandardInput=tty", "dropped", "an agent has no terminal"),
        ("[Service]\nWatchdogSec=0", "exact", "it is so without"),
        ("[Service]\nEnvironment=A=1 B", "approximated", "'B' assigns nothing"),
        ("[Service]\nExecStartPre=/bin/echo %c", "dropped", "specifier '%c' means nothing here"),
        ("[Service]\nExecStop=/bin/echo 'open", "dropped", "a quote is never closed"),
        ("[X-Mine]\nA=1", "dropped", "no such section"),
        ("[Service]\nSystemCallFilter=@system-service", "exact", "sandbox.system_call_filter"),
        ("[Service]\nSystemCallFilter=~mount nocall", "approximated", "there is no system call 'nocall': left out"),
        ("[Service]\nCapabilityBoundingSet=", "exact", "sandbox.capability_bounding_set"),
    ],
)  # fmt: skip
def test_what_becomes_of_a_line(line: str, grade: str, words: str) -> None:
    found = brought(f"[Service]\nExecStart=/bin/a\n[Unit]\n{line}\n", "a.service")
    told = remark(found, 3 + len(line.splitlines()))
    assert told.grade == grade
    assert words in told.words or (words.startswith("unit.") and "left out" in told.words)
    assert unit(found, "a.agent.yaml")["agent"]["exec"] == "/bin/a"


def test_marks_before_the_program() -> None:
    once = unit(
        brought("[Service]\nType=oneshot\nExecStart=-/bin/a ; +/bin/b\n", "a.service"), "a.agent.yaml"
    )["agent"]
    assert (once["exec"], once["exec_more"]) == ("/bin/true", ["-/bin/a", "+/bin/b"])
    assert once["start_timeout"] == "infinity"
    found = brought("[Service]\nExecStart=-@:/bin/a argv0 $X\n", "a.service")
    assert unit(found, "a.agent.yaml")["agent"]["exec"] == "/bin/a $$X"
    assert remark(found, 2).grade == "approximated"
    assert "a failure of the process is one" in remark(found, 2).words


def test_an_empty_assignment_forgets_and_a_later_one_counts() -> None:
    text = "[Service]\nExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nUser=x\nUser=y\nUser=1.5 z\n"
    found = brought(text, "a.service")
    agent = unit(found, "a.agent.yaml")["agent"]
    assert (agent["exec"], agent["user"]) == ("/bin/b", "y")
    assert remark(found, 2).words == "set to nothing again in line 3"
    assert remark(found, 5).words == "set anew in line 6"
    assert remark(found, 7).grade == "dropped"


def test_drop_ins_are_laid_over_in_the_order_of_their_names() -> None:
    found = brought(
        DB, "lib/db.service",
        ("lib/db.service.d/20-b.conf", "[Service]\nNice=2\n"),
        ("lib/db.service.d/10-a.conf", "[Service]\nNice=1\nUser=postgres\n"),
        ("lib/gone.service.d/x.conf", "[Service]\nNice=3\n"),
    )  # fmt: skip
    agent = unit(found, "db.agent.yaml")["agent"]
    assert (agent["nice"], agent["user"]) == (2, "postgres")
    told = [str(one) for unit in found for one in unit.remarks if one.grade != "exact"]
    assert told == [
        "lib/gone.service.d/x.conf:0: dropped: x.conf: it is for gone.service, which is not among these files"
    ]
    assert "set anew in lib/db.service.d/20-b.conf:2" in [one.words for unit in found for one in unit.remarks]


def test_templates_targets_and_slices() -> None:
    found = brought(
        "[Unit]\nWants=worker@1.service worker@2.service\n", "all.target",
        ("worker@.service", "[Service]\nExecStart=/bin/worker %i\nSlice=work.slice\n"),
        ("work.slice", "[Slice]\nMemoryMax=1G\nIOReadBandwidthMax=/dev/sda 10M\n"),
    )  # fmt: skip
    assert unit(found, "all.target.yaml")["unit"] == {"wants": ["worker@1", "worker@2"]}
    assert unit(found, "worker@.agent.yaml")["resources"]["slice"] == "work.slice"
    resources = unit(found, "work.slice.yaml")["resources"]
    assert resources == {"memory_max": "1G", "io_read_bandwidth_max": {"/dev/sda": 10_000_000}}
    assert all(one.grade == "exact" for unit in found for one in unit.remarks)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.timer", "[Timer]\nOnCalendar=daily\n", "Maestro has no timers yet"),
        ("a.socket", "[Socket]\nListenStream=80\n", "Maestro has no socket units yet"),
        ("a.path", "[Path]\nPathExists=/a\n", "Maestro has no path units"),
        ("a.service", "[Service]\nNice=1\n", "nothing is left that says agent.exec"),
        ("-.slice", "[Slice]\nMemoryMax=1G\n", "begins with '-'"),
    ],
)
def test_what_gives_no_unit_says_so_of_each_line(name: str, text: str, words: str) -> None:
    found = brought(text, name)
    assert [one.text for one in found] == [""]
    lines = [one for one in found[0].remarks if one.line]
    assert [one.line for one in lines] == [1, 2]
    assert all(one.grade == "dropped" and words in one.words for one in lines)


def test_a_unit_that_is_not_written_is_not_required() -> None:
    found = brought(
        "[Service]\nExecStart=/bin/a\n[Unit]\nRequires=b.service\n",
        "a.service",
        ("b.service", "[Service]\nNice=1\n"),
    )
    assert "unit" not in unit(found, "a.agent.yaml")
    assert "it is not imported with this one" in next(one.words for one in found[0].remarks if one.line == 4)
