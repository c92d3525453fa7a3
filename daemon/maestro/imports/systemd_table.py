"""What systemd's settings become: one row each."""

from __future__ import annotations

from maestro.imports import systemd_commands as commands
from maestro.imports import systemd_sandbox
from maestro.imports import systemd_values as of
from maestro.imports.table import Rule, drop
from maestro.imports.values import items, number, one_of, text, truth, words

_NEEDED, _LOOSE = of.units(needed=True), of.units()

_UNIT: dict[str, Rule] = {
    "Unit/Description": Rule("unit.description", of.one_quoted),
    "Unit/Documentation": Rule("unit.documentation", of.quoted),
    "Unit/Requires": Rule("unit.requires", _NEEDED),
    "Unit/Requisite": Rule("unit.requisite", _NEEDED),
    "Unit/BindsTo": Rule("unit.binds_to", _NEEDED),
    "Unit/BindTo": Rule("unit.binds_to", _NEEDED),
    "Unit/Wants": Rule("unit.wants", _LOOSE),
    "Unit/Upholds": Rule("unit.upholds", _LOOSE),
    "Unit/PartOf": Rule("unit.part_of", _LOOSE),
    "Unit/Conflicts": Rule("unit.conflicts", _LOOSE),
    "Unit/Before": Rule("unit.before", _LOOSE),
    "Unit/After": Rule("unit.after", _LOOSE),
    "Unit/OnFailure": Rule("unit.on_failure", _LOOSE),
    "Unit/OnSuccess": Rule("unit.on_success", _LOOSE),
    "Unit/PropagatesStopTo": Rule("unit.propagates_stop_to", _LOOSE),
    "Unit/PropagatesReloadTo": Rule("unit.propagates_reload_to", _LOOSE),
    "Unit/DefaultDependencies": Rule("unit.default_dependencies", truth),
    "Unit/AllowIsolate": Rule("unit.allow_isolate", truth),
    "Unit/IgnoreOnIsolate": Rule("unit.ignore_on_isolate", truth),
    "Unit/CollectMode": Rule("unit.collect_mode", text),
    "Unit/StartLimitBurst": Rule("~agent.restart.start_limits#count", number),
    "Unit/StartLimitIntervalSec": Rule("~agent.restart.start_limits#window", of.span),
    "Unit/StartLimitInterval": Rule("~agent.restart.start_limits#window", of.span),
    **drop("Maestro does nothing to the host: on_give_up names units to start instead", "StartLimitAction", "Unit/"),
    **drop("Maestro does nothing to the host: on_failure and on_success name units to start instead",
           "FailureAction FailureActionExitStatus SuccessAction SuccessActionExitStatus JobTimeoutAction "
           "JobTimeoutRebootArgument RebootArgument", "Unit/"),
    **drop("a job has no time-out of its own in Maestro: start_timeout holds for a start", "JobTimeoutSec JobRunningTimeoutSec", "Unit/"),
    **drop("anyone may stop and start a unit whom the control socket lets",
           "RefuseManualStart RefuseManualStop", "Unit/"),
    **drop("it is always stopped only when it is asked for: Maestro stops no unit for want of use", "StopWhenUnneeded", "Unit/"),
    **drop("the other unit says so: write propagates_stop_to or propagates_reload_to there",
           "StopPropagatedFrom ReloadPropagatedFrom PropagateReloadTo PropagateReloadFrom", "Unit/"),
    **drop("Maestro mounts nothing and waits for no mounts: what a unit needs is mounted when Maestro starts",
           "RequiresMountsFor WantsMountsFor", "Unit/"),
    **drop("Maestro replaces waiting jobs as its own rules say", "OnFailureJobMode OnSuccessJobMode "
           "OnFailureIsolate IgnoreOnSnapshot SurviveFinalKillSignal", "Unit/"),
    **drop("namespaces are each agent's own", "JoinsNamespaceOf", "Unit/"),
    **drop("it names a file that this unit was generated from", "SourcePath", "Unit/"),
}  # fmt: skip

_CHECKS = {
    "PathExists": "path_exists", "PathExistsGlob": "path_exists_glob", "PathIsDirectory": "path_is_directory",
    "PathIsSymbolicLink": "path_is_symbolic_link", "PathIsMountPoint": "path_is_mount_point",
    "PathIsReadWrite": "path_is_read_write", "DirectoryNotEmpty": "directory_not_empty",
    "FileNotEmpty": "file_not_empty", "FileIsExecutable": "file_is_executable", "Environment": "environment",
    "Host": "host", "User": "user", "Group": "group", "Memory": "memory", "CPUs": "cpus",
    "Architecture": "architecture", "KernelVersion": "kernel_version", "KernelCommandLine": "kernel_command_line",
    "Capability": "capability", "Credential": "credential", "FirstBoot": "first_boot", "ACPower": "ac_power",
    "OSRelease": "os_release",
}  # fmt: skip
_NO_CHECKS = (
    "Virtualization Security NeedsUpdate ControlGroupController PathIsEncrypted CPUFeature MemoryPressure CPUPressure "
    "IOPressure Firmware KernelModuleLoaded Version Fragment PathIsSocket"
)
_WITH_WORDS = ("KernelVersion", "OSRelease")
for _theirs, _section in (("Condition", "condition"), ("Assert", "assert")):
    _UNIT |= {
        f"Unit/{_theirs}{name}": Rule(f"{_section}.{option}", of.versions if name in _WITH_WORDS else items)
        for name, option in _CHECKS.items()
    }
    _UNIT |= {
        f"Unit/{_theirs}{name}": Rule(
            words="Maestro cannot ask for this: the unit is started without the question"
        )
        for name in _NO_CHECKS.split()
    }

_INSTALL: dict[str, Rule] = {
    "Install/WantedBy": Rule("install.wanted_by", of.installed),
    "Install/RequiredBy": Rule("install.required_by", of.installed),
    "Install/UpheldBy": Rule(words="write upholds into the other unit"),
    "Install/Alias": Rule("install.alias", of.own_names),
    "Install/Also": Rule("install.also", _LOOSE),
    "Install/DefaultInstance": Rule("install.default_instance", text),
}

_IO_CLASSES = {str(place): name for place, name in enumerate(("none", "realtime", "best-effort", "idle"))}
_SERVICE: dict[str, Rule] = {
    "Service/Type": Rule("agent.type", one_of(
        {name: name for name in ("simple", "exec", "notify", "notify-reload", "forking", "oneshot")},
        lambda value: of.other_type(value))),
    "Service/ExecStart": Rule("~agent.exec", commands.main),
    "Service/ExecStartPre": Rule("agent.exec_start_pre", commands.around),
    "Service/ExecStartPost": Rule("agent.exec_start_post", commands.around),
    "Service/ExecCondition": Rule("agent.exec_condition", commands.around),
    "Service/ExecReload": Rule("agent.exec_reload", commands.around),
    "Service/ExecStop": Rule("agent.exec_stop", commands.around),
    "Service/ExecStopPost": Rule("agent.exec_stop_post", commands.around),
    "Service/Restart": Rule("agent.restart.policy", text),
    "Service/RestartSec": Rule("agent.restart.delay", of.span),
    "Service/RestartMaxDelaySec": Rule("agent.restart.max_delay", of.span),
    "Service/RestartSteps": Rule("agent.restart.steps", number),
    "Service/RestartPreventExitStatus": Rule("agent.restart.prevent_exit_status", words),
    "Service/RestartForceExitStatus": Rule("agent.restart.force_exit_status", words),
    "Service/SuccessExitStatus": Rule("agent.success_exit_status", words),
    "Service/StartLimitBurst": Rule("~agent.restart.start_limits#count", number),
    "Service/StartLimitInterval": Rule("~agent.restart.start_limits#window", of.span),
    "Service/TimeoutStartSec": Rule("agent.start_timeout", of.timeout),
    "Service/TimeoutStopSec": Rule("~agent.stop.sequence#wait", of.timeout),
    "Service/TimeoutSec": Rule("~agent.start_timeout and agent.stop.sequence#", of.timeout),
    "Service/RuntimeMaxSec": Rule("agent.runtime_max", of.timeout),
    "Service/RuntimeRandomizedExtraSec": Rule("agent.runtime_randomized_extra", of.span),
    "Service/WatchdogSec": Rule("agent.watchdog", of.some_time),
    "Service/KillMode": Rule("agent.stop.kill_mode", of.kill_mode),
    "Service/KillSignal": Rule("~agent.stop.sequence#signal", of.signal),
    "Service/SendSIGHUP": Rule("~agent.stop.sequence#hup", truth),
    "Service/SendSIGKILL": Rule("~nothing", of.if_false("KILL is always the last of a stop: nothing is left running")),
    "Service/ReloadSignal": Rule("agent.reload_signal", of.signal),
    "Service/PIDFile": Rule("agent.pid_file", of.pid_file),
    "Service/RemainAfterExit": Rule("agent.remain_after_exit", truth),
    "Service/GuessMainPID": Rule("~nothing", of.if_false("without a pid_file the only process that is left is taken")),
    "Service/NotifyAccess": Rule("agent.notify_access", text),
    "Service/FileDescriptorStoreMax": Rule("agent.file_descriptor_store_max", number),
    "Service/OOMPolicy": Rule("resources.oom_policy", text),
    "Service/Slice": Rule("resources.slice", of.slice_of),
    "Service/WorkingDirectory": Rule("agent.working_directory", of.one_quoted),
    "Service/RootDirectory": Rule("agent.root_directory", text),
    "Service/User": Rule("agent.user", text),
    "Service/Group": Rule("agent.group", text),
    "Service/SupplementaryGroups": Rule("agent.supplementary_groups", words),
    "Service/DynamicUser": Rule("agent.dynamic_user", truth),
    "Service/UMask": Rule("agent.umask", text),
    "Service/ExecSearchPath": Rule("agent.exec_search_path", of.colons),
    "Service/Environment": Rule("agent.environment", of.assignments),
    "Service/EnvironmentFile": Rule("agent.environment_file", items),
    "Service/PassEnvironment": Rule("agent.pass_environment", words),
    "Service/UnsetEnvironment": Rule("agent.unset_environment", of.quoted),
    "Service/StandardInput": Rule("agent.stdin", text),
    "Service/StandardOutput": Rule("agent.stdout", of.output),
    "Service/StandardError": Rule("agent.stderr", of.output),
    "Service/LogRateLimitIntervalSec": Rule("logs.rate_limit_interval", of.span),
    "Service/IgnoreSIGPIPE": Rule("agent.ignore_sigpipe", truth),
    "Service/Nice": Rule("agent.nice", number),
    "Service/OOMScoreAdjust": Rule("agent.oom_score_adjust", number),
    "Service/TimerSlackNSec": Rule("agent.timer_slack", text),
    "Service/Personality": Rule("agent.personality", text),
    "Service/KeyringMode": Rule("agent.keyring_mode", text),
    "Service/CoredumpFilter": Rule("agent.coredump_filter", words),
    "Service/CPUSchedulingPolicy": Rule("agent.cpu_scheduling_policy", text),
    "Service/CPUSchedulingPriority": Rule("agent.cpu_scheduling_priority", number),
    "Service/CPUSchedulingResetOnFork": Rule("agent.cpu_scheduling_reset_on_fork", truth),
    "Service/CPUAffinity": Rule("agent.cpu_affinity", items),
    "Service/NUMAPolicy": Rule("agent.numa_policy", text),
    "Service/NUMAMask": Rule("agent.numa_mask", items),
    "Service/IOSchedulingClass": Rule("agent.io_scheduling_class", one_of({**_IO_CLASSES}, lambda value: value)),
    "Service/IOSchedulingPriority": Rule("agent.io_scheduling_priority", number),
    "Service/LoadCredential": Rule("agent.load_credential", of.by_name),
    "Service/SetCredential": Rule("agent.set_credential", of.by_name),
    "Service/RuntimeDirectoryPreserve": Rule("agent.runtime_directory_preserve", of.word),
    **{f"Service/Limit{name.upper()}": Rule(f"agent.limits.{name}", text) for name in (
        "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss",
        "rtprio", "rttime", "sigpending", "stack")},
    **{f"Service/{kind}Directory": Rule(f"agent.{kind.lower()}_directory", of.quoted)
       for kind in ("State", "Cache", "Logs", "Runtime", "Configuration")},
    **{f"Service/{kind}DirectoryMode": Rule(f"agent.{kind.lower()}_directory_mode", text)
       for kind in ("State", "Cache", "Logs", "Runtime", "Configuration")},
}  # fmt: skip

_AMOUNTS = {
    "MemoryMin": "memory_min", "MemoryLow": "memory_low", "MemoryHigh": "memory_high", "MemoryMax": "memory_max",
    "MemoryLimit": "memory_max", "MemorySwapMax": "memory_swap_max", "CPUWeight": "cpu_weight",
    "CPUQuota": "cpu_max", "CPUQuotaPeriodSec": "cpu_period", "AllowedCPUs": "allowed_cpus",
    "AllowedMemoryNodes": "allowed_memory_nodes", "IOWeight": "io_weight", "TasksMax": "tasks_max",
}  # fmt: skip
_BY_DEVICE = {
    "IODeviceWeight": "io_device_weight", "IOReadBandwidthMax": "io_read_bandwidth_max",
    "IOWriteBandwidthMax": "io_write_bandwidth_max", "IOReadIOPSMax": "io_read_iops_max",
    "IOWriteIOPSMax": "io_write_iops_max",
}  # fmt: skip
_NO_RESOURCES = {
    "Maestro counts what its agents use wherever there are control groups": "CPUAccounting MemoryAccounting "
    "TasksAccounting IOAccounting IPAccounting BlockIOAccounting",
    "Maestro has no limits that hold during boot only": "StartupCPUWeight StartupIOWeight StartupCPUShares "
    "StartupBlockIOWeight StartupMemoryMax StartupMemoryHigh StartupMemoryLow StartupMemorySwapMax "
    "StartupAllowedCPUs StartupAllowedMemoryNodes StartupMemoryZSwapMax",
    "an older name in units that Maestro does not count in: write cpu_weight or io_weight": "CPUShares BlockIOWeight "
    "BlockIODeviceWeight BlockIOReadBandwidth BlockIOWriteBandwidth",
    "Maestro filters no packets: sandbox.network says what an agent reaches": "IPAddressAllow IPAddressDeny "
    "IPIngressFilterPath IPEgressFilterPath SocketBindAllow SocketBindDeny RestrictNetworkInterfaces BPFProgram NFTSet",
    "Maestro has no lists of devices: sandbox.private_devices leaves pseudo-devices only": "DeviceAllow DevicePolicy",
    "an agent has no control groups of its own to manage": "Delegate DelegateSubgroup DisableControllers",
    "Maestro acts by resources.on_pressure when the host is short of memory": "ManagedOOMSwap "
    "ManagedOOMMemoryPressure ManagedOOMMemoryPressureLimit ManagedOOMMemoryPressureDurationSec ManagedOOMPreference "
    "MemoryPressureWatch MemoryPressureThresholdSec",
    "Maestro has no such limit": "MemoryZSwapMax MemoryZSwapWriteback DefaultMemoryMin DefaultMemoryLow "
    "DefaultStartupMemoryLow IODeviceLatencyTargetSec CoredumpReceive",
}


def _resources(section: str) -> dict[str, Rule]:
    rows = {f"{section}/{name}": Rule(f"resources.{option}", text) for name, option in _AMOUNTS.items()}
    rows |= {
        f"{section}/{name}": Rule(f"resources.{option}", of.by_device) for name, option in _BY_DEVICE.items()
    }
    for why, keys in _NO_RESOURCES.items():
        rows |= drop(why, keys, f"{section}/")
    return rows


_SLICE = {**_resources("Slice")}

SERVICE = {**_UNIT, **_INSTALL, **_SERVICE, **_resources("Service"), **systemd_sandbox.TABLE}
TARGET = {**_UNIT, **_INSTALL}
SLICE = {**_UNIT, **_INSTALL, **_SLICE}
