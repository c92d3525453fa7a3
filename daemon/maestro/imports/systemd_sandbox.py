"""What systemd's settings about confinement become, and those that Maestro has nothing for."""

from __future__ import annotations

from collections.abc import Mapping

from maestro.imports import systemd_values as of
from maestro.imports.record import Record, Rough
from maestro.imports.table import Rule, Scope, drop
from maestro.imports.values import items, said, text, truth, words
from maestro.model.plain import Plain


def _switch(option: str, known: Mapping[str, tuple[Plain, str]]) -> Rule:
    """A switch that has words besides yes and no to systemd, which mean less here."""

    def changed(record: Record, scope: Scope) -> Plain:
        value = said(record)
        return Rough(*known[value]) if value in known else truth(record, scope)

    return Rule(f"sandbox.{option}", changed)


_TRUTHS = {
    "NoNewPrivileges": "no_new_privileges", "PrivateDevices": "private_devices", "PrivateIPC": "private_ipc",
    "ProtectKernelTunables": "protect_kernel_tunables", "ProtectKernelModules": "protect_kernel_modules",
    "ProtectKernelLogs": "protect_kernel_logs", "ProtectClock": "protect_clock",
    "MemoryDenyWriteExecute": "memory_deny_write_execute", "RestrictRealtime": "restrict_realtime",
    "RestrictSUIDSGID": "restrict_suid_sgid", "LockPersonality": "lock_personality", "PrivatePIDs": "private_pids",
}  # fmt: skip
_PATHS = {
    "ReadOnlyPaths": "read_only_paths", "ReadWritePaths": "read_write_paths", "InaccessiblePaths": "inaccessible_paths",
    "ReadOnlyDirectories": "read_only_paths", "ReadWriteDirectories": "read_write_paths",
    "InaccessibleDirectories": "inaccessible_paths", "ExecPaths": "exec_paths", "NoExecPaths": "no_exec_paths",
    "BindPaths": "bind_paths", "BindReadOnlyPaths": "bind_read_only_paths",
    "TemporaryFileSystem": "temporary_file_system",
}  # fmt: skip

_ROWS: dict[str, Rule] = {
    **{key: Rule(f"sandbox.{option}", truth) for key, option in _TRUTHS.items()},
    **{key: Rule(f"sandbox.{option}", of.quoted) for key, option in _PATHS.items()},
    "PrivateTmp": _switch("private_tmp", {"disconnected": (True, "it is kept where the host's /tmp is")}),
    "PrivateUsers": _switch("private_users", {
        word: (True, f"{word}: no user but its own is there to it") for word in ("self", "identity", "full", "managed")}),
    "PrivateNetwork": Rule("sandbox.network", of.network),
    "ProtectControlGroups": _switch("protect_control_groups", {
        word: (True, f"{word}: it sees the groups of the host, and cannot write them") for word in ("private", "strict")}),
    "ProtectHostname": _switch("protect_hostname", {"private": (True, "it has no host name of its own")}),
    "ProtectSystem": Rule("sandbox.protect_system", of.word),
    "ProtectHome": Rule("sandbox.protect_home", of.word),
    "ProtectProc": Rule("sandbox.protect_proc", text),
    "ProcSubset": Rule("sandbox.proc_subset", text),
    "MountFlags": Rule("sandbox.mount_flags", text),
    "CapabilityBoundingSet": Rule("sandbox.capability_bounding_set", words, empty=[]),
    "AmbientCapabilities": Rule("sandbox.ambient_capabilities", words),
    "SystemCallFilter": Rule("sandbox.system_call_filter", of.calls),
    "SystemCallErrorNumber": Rule("sandbox.system_call_error_number", text),
    "SystemCallArchitectures": Rule("sandbox.system_call_architectures", words),
    "SystemCallLog": Rule("sandbox.system_call_log", of.calls),
    "RestrictNamespaces": Rule("sandbox.restrict_namespaces", of.line),
    "RestrictAddressFamilies": Rule("sandbox.restrict_address_families", items),
}  # fmt: skip

_DROPPED = {
    "an agent has no terminal": "TTYPath TTYReset TTYVHangup TTYVTDisallocate TTYRows TTYColumns",
    "Maestro keeps the log, and names each line after the unit": "SyslogIdentifier SyslogFacility SyslogLevel "
    "SyslogLevelPrefix LogLevelMax LogExtraFields LogNamespace LogFilterPatterns",
    "Maestro counts bytes and not lines: logs.rate_limit_burst": "LogRateLimitBurst",
    "Maestro runs programs, not images": "RootImage RootImageOptions RootImagePolicy RootHash RootHashSignature "
    "RootVerity MountImages MountImagePolicy ExtensionImages ExtensionImagePolicy ExtensionDirectories RootEphemeral "
    "RootMStack MountAPIVFS RootDirectoryStartOnly PrivateBPF BPFDelegateCommands BPFDelegateMaps "
    "BPFDelegatePrograms BPFDelegateAttachments",
    "Maestro has no socket units: an agent opens its own sockets": "Sockets NonBlocking OpenFile "
    "FileDescriptorStorePreserve USBFunctionDescriptors USBFunctionStrings",
    "Maestro knows no bus": "BusName BusPolicy",
    "Maestro does not do this: a security module is set by a wrapper program": "SELinuxContext AppArmorProfile "
    "SmackProcessLabel SecureBits PAMName UtmpIdentifier UtmpMode SetLoginEnvironment",
    "credentials are plain to Maestro: write load_credential": "LoadCredentialEncrypted SetCredentialEncrypted "
    "ImportCredential",
    "write it to a file, and name that in stdin": "StandardInputText StandardInputData",
    "Maestro sends what stop.sequence says, and KILL last": "FinalKillSignal RestartKillSignal WatchdogSignal",
    "a time-out ends as stop.sequence says": "TimeoutStartFailureMode TimeoutStopFailureMode TimeoutAbortSec "
    "TimeoutCleanSec",
    "what restarts with a unit is said by its dependencies": "RestartMode ExitType RefreshOnReload",
    "every agent in a sandbox has mounts of its own": "PrivateMounts",
    "Maestro has no namespace that is given by its path": "NetworkNamespacePath IPCNamespacePath UserNamespacePath "
    "BindLogSockets ProtectKernelObjects MemoryKSM MemoryTHP UserNamespaceLimits BindNetworkInterface",
    "directories have no quotas in Maestro": "StateDirectoryQuota CacheDirectoryQuota LogsDirectoryQuota "
    "StateDirectoryAccounting CacheDirectoryAccounting LogsDirectoryAccounting",
    "an old setting that means nothing any more": "PermissionsStartOnly SysVStartPriority FsckPassNo TCPWrapName "
    "CapabilityBoundingSetMode Capabilities",
    "Maestro does nothing to the host: on_failure names units to start instead": "FailureAction StartLimitAction "
    "RebootArgument SuccessAction",
}

TABLE: dict[str, Rule] = {f"Service/{key}": rule for key, rule in _ROWS.items()}
for _why, _keys in _DROPPED.items():
    TABLE |= drop(_why, _keys, "Service/")
