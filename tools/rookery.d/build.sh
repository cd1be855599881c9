# Configuring and building with the CMake presets.

SERVICES=(management signal relay stun dashboard-api)

# The build that `up` runs; the sanitizer tests choose another.
PRESET=${ROOKERY_PRESET:-release}

program() {
    printf '%s' "$ROOT/build/$PRESET/rookery-$1"
}

preset_names() {
    sed -nE '/"configurePresets"/,$ s/^ *"name": "([a-z]+)".*/\1/p' "$ROOT/CMakePresets.json" | grep -vx base
}

check_preset() {
    grep -qx -- "$1" <<<"$(preset_names)" || die "there is no preset '$1'" "there are: $(preset_names | tr '\n' ' ')"
}

# build_preset PRESET [NINJA TARGET...]: one builder at a time, whoever else calls us.
build_preset() {
    local dir="$ROOT/build/$1" preset=$1 quiet=--quiet

    shift
    [ -t 2 ] && quiet=
    check_preset "$preset"
    { mkdir -p "$dir" && : >>"$dir/.rookery-lock"; } 2>/dev/null || die "cannot write to $dir" \
        "it belongs to $(stat -c %U "$ROOT"): build as that user, or clone the project elsewhere"
    (
        flock 8
        if [ ! -f "$dir/build.ninja" ]; then
            note "configuring preset $preset"
            (cd "$ROOT" && cmake --preset "$preset") >"$dir/configure.log" 2>&1 || {
                tail -n 30 "$dir/configure.log" >&2
                die "cmake --preset $preset failed" "all of it is in $dir/configure.log"
            }
        fi
        # shellcheck disable=SC2086
        ninja -C "$dir" $quiet "$@" >&2 8>&- || die "the build of preset $preset failed" \
            "see the lines above; again with all output:  ninja -C $dir -v"
    ) 8>"$dir/.rookery-lock"
}

build_services() {
    note "building (preset $PRESET)"
    build_preset "$PRESET" "${SERVICES[@]/#/rookery-}" rookery-fleet rookery-doctor
}
