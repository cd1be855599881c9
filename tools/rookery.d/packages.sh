# Debian packages: installed only when missing, and named when we may not install them.

# packages_for WHAT...: names of tools/packages whose first column is one of WHAT, but those whose program is here already.
packages_for() {
    local what kind name program

    for what in "$@"; do
        while read -r kind name program; do
            [ "$kind" = "$what" ] || continue
            [ -n "$program" ] && command -v "$program" >/dev/null || printf '%s\n' "$name"
        done <"$ROOT/tools/packages"
    done
}

packages_missing() {
    local have

    have=$(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
        sed -n 's/^installed //p')
    comm -23 <(printf '%s\n' "$@" | sort) <(printf '%s\n' "$have" | sort)
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        env "$@"
    else
        sudo -n env "$@"
    fi
}

can_be_root() {
    [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null
}

# Another apt at work, as at the start of a machine, is waited for.
apt_quiet() {
    local log tries=150

    log=$(mktemp)
    until as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; do
        if grep -q 'Could not get lock' "$log" && [ $((tries -= 1)) -gt 0 ]; then
            [ "$tries" -ne 149 ] || note "waiting for another apt-get"
            sleep 2
            continue
        fi
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    done
    rm -f "$log"
}

# Where there are no Debian packages to look for: the programs that they hold. Libraries are CMake's to miss.
need_programs() {
    local what missing=() program programs=(gcc clang cmake ninja pkg-config protoc-c haproxy redis-server redis-cli
        openssl curl flock setsid setpriv ip ps)

    for what in "$@"; do
        [ "$what" != test ] || programs+=(g++ clang-format-14 git npm chromium)
    done
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    [ ${#missing[@]} -eq 0 ] || die "these programs are missing: ${missing[*]}" \
        "install them; what each comes from on Debian 12 is in $ROOT/tools/packages"
}

# need_packages WHAT...
need_packages() {
    local missing

    if ! command -v dpkg-query >/dev/null; then
        need_programs "$@"
        return
    fi
    # shellcheck disable=SC2046
    missing=$(packages_missing $(packages_for "$@") | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    can_be_root || die "these Debian packages are missing: $missing" \
        "install them as root:  apt-get install --no-install-recommends $missing"
    note "installing Debian packages: $missing"
    apt_quiet update || die "apt-get update failed" "see the lines above; is the network there?"
    # shellcheck disable=SC2086
    apt_quiet install --no-install-recommends $missing ||
        die "apt-get could not install: $missing" "see the lines above; install them by hand and try again"
}
