# Debian packages: installed only when missing, and named when we may not install them.

# packages_for WHAT...: names of tools/packages whose first column is one of WHAT.
packages_for() {
    local what

    for what in "$@"; do
        awk -v what="$what" '$1 == what { print $2 }' "$ROOT/tools/packages"
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

apt_quiet() {
    local log

    log=$(mktemp)
    if ! as_root DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# need_packages WHAT...
need_packages() {
    local missing

    command -v dpkg-query >/dev/null || return 0 # not Debian: the build says what it lacks
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
