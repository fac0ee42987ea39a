"""The flags of Docker's command line 18.09, as its sources have them (docker/cli, v18.09.0, cli/command)."""

from __future__ import annotations

FLAGS = {
    name: frozenset(flags.split())
    for name, flags in {
        "build": (
            "add-host build-arg cache-from cgroup-parent compress cpu-period cpu-quota cpu-shares "
            "cpuset-cpus cpuset-mems disable-content-trust file force-rm iidfile isolation label "
            "memory memory-swap network no-cache platform progress pull quiet rm secret security-opt "
            "shm-size squash ssh stream tag target ulimit "
        ),
        "create": (
            "add-host attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cidfile "
            "cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus "
            "cpuset-cpus cpuset-mems device device-cgroup-rule device-read-bps device-read-iops "
            "device-write-bps device-write-iops disable-content-trust dns dns-opt dns-option "
            "dns-search entrypoint env env-file expose group-add health-cmd health-interval "
            "health-retries health-start-period health-timeout help hostname init interactive "
            "io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label label-file link "
            "link-local-ip log-driver log-opt mac-address memory memory-reservation memory-swap "
            "memory-swappiness mount name net net-alias network network-alias no-healthcheck "
            "oom-kill-disable oom-score-adj pid pids-limit platform privileged publish publish-all "
            "read-only restart rm runtime security-opt shm-size stop-signal stop-timeout storage-opt "
            "sysctl tmpfs tty ulimit user userns uts volume volume-driver volumes-from workdir "
        ),
        "run": (
            "add-host attach blkio-weight blkio-weight-device cap-add cap-drop cgroup-parent cidfile "
            "cpu-count cpu-percent cpu-period cpu-quota cpu-rt-period cpu-rt-runtime cpu-shares cpus "
            "cpuset-cpus cpuset-mems detach detach-keys device device-cgroup-rule device-read-bps "
            "device-read-iops device-write-bps device-write-iops disable-content-trust dns dns-opt "
            "dns-option dns-search entrypoint env env-file expose group-add health-cmd "
            "health-interval health-retries health-start-period health-timeout help hostname init "
            "interactive io-maxbandwidth io-maxiops ip ip6 ipc isolation kernel-memory label "
            "label-file link link-local-ip log-driver log-opt mac-address memory memory-reservation "
            "memory-swap memory-swappiness mount name net net-alias network network-alias "
            "no-healthcheck oom-kill-disable oom-score-adj pid pids-limit platform privileged publish "
            "publish-all read-only restart rm runtime security-opt shm-size sig-proxy stop-signal "
            "stop-timeout storage-opt sysctl tmpfs tty ulimit user userns uts volume volume-driver "
            "volumes-from workdir "
        ),
        "exec": "detach detach-keys env interactive privileged tty user workdir",
        "cp": "archive follow-link",
        "rm": "force link volumes",
        "ps": "all filter format last latest no-trunc quiet size",
        "images": "all digests filter format no-trunc quiet",
        "rmi": "force no-prune",
        "image inspect": "format",
        "push": "disable-content-trust",
        "tag": "",
        "version": "format kubeconfig",
    }.items()
}
"""By command, without the dashes."""

EXPERIMENTAL = frozenset({"platform", "squash", "stream"})
"""Those that it refuses unless the engine has experimental features; the annotation "experimental"."""
