# The Go tool chain of the system tests.

# Any go from 1.25 on, wherever it is.
find_go() {
    local go version

    for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
        [ -n "$go" ] && [ -x "$go" ] || continue
        version=$(cd / && GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null) || continue
        if printf 'go1.25\n%s\n' "$version" | sort -CV; then
            printf '%s' "$go"
            return
        fi
    done
    return 1
}

debian_codename() {
    # shellcheck source=/dev/null
    (. /etc/os-release && printf '%s' "$VERSION_CODENAME")
}

# The host of the existing sources serves the backports too.
add_backports() {
    local codename=$1 site

    # shellcheck disable=SC2016
    if grep -qx "$codename-backports" <<<"$(apt-get indextargets --format '$(CODENAME)')"; then
        return
    fi
    # shellcheck disable=SC2016
    site=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | awk -v c="$codename" '$1 == c { print $2; exit }')
    [ -n "$site" ] || die "no apt source for $codename was found" "install Go 1.25 or later by hand"
    note "adding the source $codename-backports"
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\nSigned-By: %s\n' "$site" "$codename" \
        /usr/share/keyrings/debian-archive-keyring.gpg |
        as_root tee "/etc/apt/sources.list.d/$codename-backports.sources" >/dev/null
}

# Sets GO. Without a new enough one: the distribution's backport, which fetches the version that go.mod names.
need_go() {
    local codename

    [ -z "${GO:-}" ] || return 0
    GO=$(find_go) && return
    can_be_root || die "the system tests need Go 1.25 or later" "install it, or run this as root once"
    codename=$(debian_codename)
    add_backports "$codename"
    note "installing Go from $codename-backports"
    apt_quiet update && apt_quiet install --no-install-recommends -t "$codename-backports" golang-go ||
        die "Go could not be installed" "install Go 1.25 or later by hand"
    GO=$(command -v go) || die "golang-go gave no go program" "install Go 1.25 or later by hand"
    export GOTOOLCHAIN=auto
}
