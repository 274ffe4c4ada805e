# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the scripts of this folder share. One environment is a folder ($TEE_DEV_DIR, build/dev by default) with what
# belongs to it: a dockerd of its own where the host has none that will do, an agent, their sockets, pids and logs.
# `make up` uses build/dev, the integration tests build/test, so they never meet. $BUILD is the folder of the programs
# (build/release). Progress goes to stderr, answers to stdout.

set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=$(cd "$top" && realpath -m "${BUILD:-build/release}")
dev_dir=$(realpath -m "${TEE_DEV_DIR:-$top/build/dev}")

say() {
        printf '  %-9s %s\n' "$1" "${*:2}" >&2
}

die() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
        exit 1
}

# These paths go into JSON, libconfig and environment files. Spaces are fine.
[[ $dev_dir$bin != *[\"\\\&\|[:cntrl:]]* ]] || die "a path with quotes, backslashes, & or | cannot be used: $dev_dir"

# Where sockets live. The path of a unix socket has at most 107 bytes, so an environment that lies too deep gets a
# short folder elsewhere, which $dev_dir/run points to.
runtime_dir() {
        local LC_ALL=C longest=/exec/containerd/containerd.sock.ttrpc link=$dev_dir/run short
        if ((${#dev_dir} + ${#longest} <= 107)); then
                echo "$dev_dir"
                return
        fi
        if ! [[ -d $link && -O $link ]]; then
                short=$(mktemp -d /run/tee-XXXXXX 2>/dev/null || mktemp -d /tmp/tee-XXXXXX)
                mkdir -p "$dev_dir"
                ln -sfn "$short" "$link"
                say sockets "in $short: the path of $dev_dir is too long for them"
        fi
        realpath "$link"
}

# pid_of FILE WORD: the process that FILE names, if it is alive and has WORD among its arguments (a pid file may be
# older than the last boot).
pid_of() {
        local pid
        [[ -s $1 ]] || return 1
        pid=$(<"$1")
        [[ $pid =~ ^[0-9]+$ ]] && grep -qsaF -- "$2" "/proc/$pid/cmdline" || return 1
        echo "$pid"
}

# Has the process ended? A zombie has, too: PID 1 of many containers reaps none.
gone() {
        local stat
        { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 0
        [[ ${stat##*) } = [ZX]* ]]
}

# wait_for SECONDS PID COMMAND…: until COMMAND succeeds. Fails once the time is up or the process has ended.
wait_for() {
        local deadline=$((SECONDS + $1)) pid=$2
        shift 2
        until "$@"; do
                ((SECONDS < deadline)) || return 1
                if gone "$pid"; then
                        "$@"
                        return
                fi
                sleep 0.05
        done
}

# end_process PID WHAT SECONDS: SIGTERM, then SIGKILL for one that does not hear it.
end_process() {
        kill -TERM "$1" 2>/dev/null || return 0
        ! wait_for "$3" "$1" gone "$1" || return 0
        say warning "$2 (process $1) did not end within $3 s and is killed"
        kill -KILL "$1" 2>/dev/null || return 0
        wait_for 10 "$1" gone "$1"
}
