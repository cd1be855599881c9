# Container images: one for each service, one with tools, and what compose/compose.yaml needs besides.

IMAGES=(management signal relay stun dashboard-api tools haproxy postgres redis)
IMAGE_PREFIX=${ROOKERY_IMAGES:-localhost}
IMAGE_TAG=latest

container_engine() {
    local engine

    for engine in podman docker; do
        if command -v "$engine" >/dev/null; then
            printf '%s' "$engine"
            return
        fi
    done
    die "there is neither podman nor docker here" "install one of them:  apt-get install podman"
}

image_name() {
    printf '%s/rookery-%s:%s' "$IMAGE_PREFIX" "$1" "$IMAGE_TAG"
}

# A Debian 12 for where no registry can be reached, from the packages' own mirror. Prints its name.
image_base_from_packages() {
    local name=localhost/debian:bookworm dir

    if ! "$ENGINE" image inspect "$name" >/dev/null 2>&1; then
        command -v debootstrap >/dev/null || die "debootstrap is missing" "install it:  apt-get install debootstrap"
        note "making $name with debootstrap"
        dir=$(mktemp -d)
        debootstrap --variant=minbase bookworm "$dir" >&2 || die "debootstrap failed" "see the lines above"
        rm -rf "$dir"/var/cache/apt/archives/*.deb "$dir"/var/lib/apt/lists/*
        tar -C "$dir" -c . | "$ENGINE" import - "$name" >&2
        rm -rf "$dir"
    fi
    printf '%s' "$name"
}

image_version() {
    sed -n 's/^project(rookery VERSION \([^ ]*\).*/\1/p' "$ROOT/CMakeLists.txt"
}

# image_label IMAGE REVISION OPTION...
image_label() {
    printf 'FROM %s\nLABEL %s="%s"\nLABEL %s="%s"\n' "$1" org.opencontainers.image.version "$(image_version)" \
        org.opencontainers.image.revision "$2" | "$ENGINE" build "${@:3}" --tag "$1" -
}

# image_same IMAGE: podman notes in an image the containers that built it, and the name of what it was built on. Without that an image
# of the same files and settings is the same image, to the digest, wherever it was built.
image_same() {
    local dir config code=0

    dir=$(mktemp -d)
    "$ENGINE" save --format docker-archive "$1" | tar -C "$dir" -x &&
        config=$dir/$(sed -n 's/.*"Config":"\([^"]*\)".*/\1/p' "$dir/manifest.json") &&
        sed -i -E 's/"(container|Hostname|parent)":"[^"]*"/"\1":""/g; s/"comment":"FROM [^"]*"/"comment":""/g' "$config" &&
        (cd "$dir" && tar -c -- *) | "$ENGINE" load || code=1
    rm -rf "$dir"
    return $code
}

# image_build NAME REVISION: layers that are there already are not built again. Files have no times of their own, so that the
# same sources make the same image.
image_build() {
    local options name

    name=$(image_name "$1")
    case $ENGINE in
    podman) options=(--layers --format docker --identity-label=false --timestamp 0) ;;
    docker) options=(--build-arg SOURCE_DATE_EPOCH=0 --output type=docker,rewrite-timestamp=true) ;;
    esac
    options+=("${IMAGE_OPTIONS[@]}")
    note "building $name"
    {
        "$ENGINE" build "${options[@]}" --file "$ROOT/compose/Dockerfile" --target "$1" --tag "$name" --build-arg "BASE=$IMAGE_BASE" \
            "$ROOT" &&
            # Apart, as podman takes a layer for the same although its label has another value. What is Debian's is the same
            # from one commit to the next, and need not be replaced.
            { [[ $1 =~ ^(haproxy|postgres|redis)$ ]] || {
                image_label "$name" "$2" "${options[@]}" && { [ "$ENGINE" = docker ] || image_same "$name"; }
            }; }
    } >"$IMAGE_LOG" 2>&1 || {
        tail -n 30 "$IMAGE_LOG" >&2
        die "the image $1 could not be built" "all of it is in $IMAGE_LOG"
    }
}

# images_build NAME...
images_build() {
    local revision name

    revision=$(git -C "$ROOT" rev-parse HEAD)
    [ -z "$(git -C "$ROOT" status --porcelain --untracked-files=no)" ] || revision+=-changed
    IMAGE_LOG=$ROOT/build/images.log
    mkdir -p "$ROOT/build"
    for name in "$@"; do
        image_build "$name" "$revision"
    done
}

# A list of what is in each image, as SPDX, by syft, which Go builds the first time.
images_sbom() {
    local dir=$1 name archive

    shift
    need_go
    mkdir -p "$dir"
    archive=$(mktemp)
    for name in "$@"; do
        note "listing what is in $(image_name "$name")"
        rm -f "$archive"
        "$ENGINE" save --output "$archive" "$(image_name "$name")" >/dev/null 2>&1
        "$GO" run "github.com/anchore/syft/cmd/syft@$SYFT" scan --quiet --source-name "rookery-$name" \
            --source-version "$(image_version)" --output "spdx-json=$dir/rookery-$name.spdx.json" \
            "docker-archive:$archive" >&2 || die "syft could not read the image $name"
    done
    rm -f "$archive"
}

SYFT=v1.38.0

cmd_images() {
    local sbom='' names=()

    IMAGE_OPTIONS=()
    IMAGE_BASE=${ROOKERY_BASE:-debian:bookworm-slim}
    while [ $# -gt 0 ]; do
        case $1 in
        --tag) option_value "$@" && IMAGE_TAG=$2 && shift ;;
        --base) option_value "$@" && IMAGE_BASE=$2 && shift ;;
        --clean) IMAGE_OPTIONS=(--no-cache) ;;
        --sbom) option_value "$@" && sbom=$2 && shift ;;
        [a-z]*) grep -qx -- "$1" <<<"$(printf '%s\n' "${IMAGES[@]}")" ||
            die "there is no image '$1'" "there are: ${IMAGES[*]}" && names+=("$1") ;;
        *) die "rookery images does not know '$1'" "see: rookery help" ;;
        esac
        shift
    done
    [ ${#names[@]} -gt 0 ] || names=("${IMAGES[@]}")
    ENGINE=$(container_engine)
    [ "$IMAGE_BASE" != debootstrap ] || IMAGE_BASE=$(image_base_from_packages)
    images_build "${names[@]}"
    [ -z "$sbom" ] || images_sbom "$sbom" "${names[@]}"
}
