"""What a tenant may write into its units."""

from __future__ import annotations

import pytest

from maestro.model import tenancy
from maestro.model.load import load_text, shown
from maestro.model.tenancy import Grounds, objections
from maestro.model.unit import Unit

SLICE = "tenants-acme.slice"


def unit(text: str) -> Unit:
    loaded = load_text("tenants-acme-job.agent.yaml", text.encode(), "f")
    assert loaded.unit is not None, list(map(str, loaded.problems))
    return loaded.unit


def refused(text: str) -> list[str]:
    if not text.startswith("agent:"):
        text += "\nagent: {exec: /bin/true}"
    return list(objections(unit(text), Grounds(SLICE, lambda name: name == "mine")))


def test_every_option_is_decided_and_only_once() -> None:
    options = {
        one.option for one in shown(unit("agent: {exec: /bin/true}\nhealth: {readiness: {exec: /bin/true}}"))
    }
    assert len(options) > 200
    assert [one for one in sorted(options) if not tenancy.is_decided(one)] == []
    checked = set(tenancy._CHECKED)
    assert not tenancy.FREE & checked
    assert not (tenancy.FREE | checked) & set(tenancy.REFUSED)
    sections = {one.partition(".")[0] for one in options}
    assert (tenancy.FREE | checked | set(tenancy.REFUSED)) - options <= sections, "nothing that there is not"


FREE = [
    "agent: {exec: [/bin/sh, -c, true], working_directory: /root, environment: {A: b}, nice: 5, stdout: log}",
    "agent: {exec: /bin/true, exec_start_pre: ['-/bin/false'], limits: {fsize: 1M}, keyring_mode: shared}",
    "agent: {exec: /bin/true, state_directory: [tenants-acme.slice/x], oom_score_adjust: 500}",
    "agent: {exec: /bin/true, set_credential: {key: text}, restart: {policy: always, delay: 1s}}",
    "unit: {requires: [mine], after: [mine started]}",
    "sandbox: {level: strict, no_new_privileges: true, network: none}",
    "resources: {memory_max: 4G, slice: tenants-acme.slice}\nbudget: {runs: {day: 4}}",
    "health: {readiness: {exec: /bin/true, interval: 2s}}\nlogs: {max_size: 1M, max_files: 1}",
]


@pytest.mark.parametrize("text", FREE)
def test_what_it_does_with_its_own_rights_is_free(text: str) -> None:
    assert refused(text) == []


REFUSED = {
    "condition: {path_exists: [/root/x]}": "condition.path_exists: the daemon would read it",
    "assert: {path_exists: [/root/x]}": "assert.path_exists: the daemon would read it",
    "install: {wanted_by: [default.target]}": "install.wanted_by: only administrators",
    "unit: {conflicts: [theirs]}": "unit.conflicts: there is no unit theirs in your slices",
    "unit: {requires: [mine, theirs]}": "unit.requires: there is no unit theirs",
    "unit: {before: [theirs]}": "unit.before: there is no unit theirs",
    "unit: {after: [theirs]}": "unit.after: there is no unit theirs",
    "unit: {on_failure: [theirs]}": "unit.on_failure: there is no unit theirs",
    "unit: {propagates_stop_to: [theirs]}": "unit.propagates_stop_to: there is no unit theirs",
    "unit: {essential: true}": "unit.essential: its failure would end the daemon",
    "unit: {exclusive: [gpu0]}": "unit.exclusive: it concerns units",
    "unit: {ignore_on_isolate: true}": "unit.ignore_on_isolate: it concerns",
    "agent: {exec: /bin/true, exec_start_pre: [+/bin/id]}": "agent.exec_start_pre: by + or !",
    "agent: {exec: /bin/true, exec_stop_post: ['!/bin/id']}": "agent.exec_stop_post: by + or !",
    "agent: {exec: /bin/true, exec_condition: [+/bin/id]}": "agent.exec_condition: by + or !",
    "agent: {exec: /bin/true, environment_file: [/etc/shadow]}": "agent.environment_file: the daemon would read it",
    "agent: {exec: /bin/true, pass_environment: [SECRET]}": "agent.pass_environment: the daemon's own variables",
    "agent: {exec: /bin/true, stdout: 'file:/etc/cron.d/x'}": "agent.stdout: the daemon would open it",
    "agent: {exec: /bin/true, stderr: 'append:/etc/passwd'}": "agent.stderr: the daemon would open it",
    "agent: {exec: /bin/true, stdin: 'file:/etc/shadow'}": "agent.stdin: the daemon would open it",
    "agent: {exec: /bin/true, type: forking, pid_file: /etc/x}": "agent.pid_file: the daemon would read it and remove",
    "agent: {exec: /bin/true, root_directory: /srv}": "agent.root_directory: the daemon would lay it",
    "agent: {exec: /bin/true, supplementary_groups: [disk]}": "agent.supplementary_groups: it is in the groups",
    "agent: {exec: /bin/true, dynamic_user: true}": "agent.dynamic_user: who it runs as",
    "agent: {exec: /bin/true, load_credential: {a: /etc/shadow}}": "agent.load_credential: the daemon would read it",
    "agent: {exec: /bin/true, state_directory: [postgresql]}": "agent.state_directory: your directories are below your slice's: "
    "write tenants-acme.slice/postgresql",
    "agent: {exec: /bin/true, cache_directory: ['tenants-acme.slice/x:man']}": "agent.cache_directory: your directories",
    "agent: {exec: /bin/true, configuration_directory: [x]}": "agent.configuration_directory: configuration is",
    "agent: {exec: /bin/true, nice: -5}": "agent.nice: it would get more than others",
    "agent: {exec: /bin/true, oom_score_adjust: -1000}": "agent.oom_score_adjust: it would get more",
    "agent: {exec: /bin/true, cpu_scheduling_policy: rr}": "agent.cpu_scheduling_policy: it would come before",
    "agent: {exec: /bin/true, io_scheduling_class: realtime}": "agent.io_scheduling_class: it would come before",
    "agent: {exec: /bin/true, keyring_mode: inherit}": "agent.keyring_mode: it would possess the daemon's keys",
    "agent: {exec: /bin/true, limits: {nofile: 1000000}}": "agent.limits.nofile: it could allow more than your login",
    "agent: {exec: /bin/true, restart: {delay: 0}}": "agent.restart.delay: it would be restarted without a pause",
    "agent: {exec: /bin/true, file_descriptor_store_max: 9}": "agent.file_descriptor_store_max: it takes of what",
    "agent: {exec: /bin/true, stop: {sequence: [TERM 1000h]}}": "agent.stop.sequence: its stop may take 10 minutes",
    "agent: {exec: /bin/true, stop: {drain_max: 2h}}": "agent.stop.drain_max: its stop may take 10 minutes",
    "resources: {io_write_bandwidth_max: {/dev/sda: 1G}}": "resources.io_write_bandwidth_max: the daemon would open it",
    "sandbox: {ambient_capabilities: [CAP_SYS_ADMIN]}": "sandbox.ambient_capabilities: it would have privileges",
    "sandbox: {no_new_privileges: false}": "sandbox.no_new_privileges: a tenant's agent gains no privileges",
    "sandbox: {bind_paths: ['/root:/mnt']}": "sandbox.bind_paths: the daemon would lay it",
    "sandbox: {read_write_paths: [/root]}": "sandbox.read_write_paths: the daemon would lay it",
    "sandbox: {temporary_file_system: [/etc]}": "sandbox.temporary_file_system: the daemon would lay it",
    "agent: {exec: /bin/true, gateway_ports: [4000]}": "agent.gateway_ports: a gateway hears",
    "resources: {memory_low: 1G}": "resources.memory_low: what it keeps for itself",
    "resources: {memory_min: 1G}": "resources.memory_min: what it keeps for itself",
    "resources: {priority: 1}": "resources.priority: it would go before agents",
    "resources: {on_pressure: none}": "resources.on_pressure: others would stand still in its stead",
    "sandbox: {network: gateway}": "sandbox.network: only administrators",
    "health: {readiness: {unix: /run/docker.sock}}": "health.readiness.unix: the daemon would ask it",
    "health: {readiness: {http: 'http://127.0.0.1/'}}": "health.readiness.http: the daemon would ask it",
    "health: {readiness: {log: '(a+)+$'}}": "health.readiness.log: the daemon would search",
    "health: {readiness: {exec: /bin/true, interval: 1ms}}": "health.readiness.interval: it would be asked",
    "logs: {max_size: 1G}": "logs.max_size: your agents may have 16M at most",
    "logs: {rate_limit_interval: 0}": "logs.rate_limit_interval: more would be kept",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_daemon_would_do_for_it_is_refused(text: str) -> None:
    found = refused(text)
    assert len(found) == 1
    assert found[0].startswith(REFUSED[text])
