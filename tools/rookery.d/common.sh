# Messages, waiting, small helpers.

say() {
    printf '%s\n' "$*"
}

# Progress goes to stderr, so that stdout stays for what was asked.
note() {
    printf '  %s\n' "$*" >&2
}

# die WHAT [FIX...]: what went wrong, then what to do about it, a line each.
die() {
    local line

    printf 'rookery: %s\n' "$1" >&2
    shift
    for line in "$@"; do
        printf '         %s\n' "$line" >&2
    done
    exit 1
}

now_ms() {
    local t=${EPOCHREALTIME/[.,]/}

    printf '%s' "${t%???}"
}

# wait_until SECONDS COMMAND...: polls until the command succeeds; 1 when the time is up.
wait_until() {
    local deadline=$(($(now_ms) + $1 * 1000))

    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$deadline" ] || return 1
        sleep 0.1
    done
}

# http_ok URL: true when the answer is 200.
http_ok() {
    curl --silent --fail --noproxy '*' --max-time 2 --output /dev/null "$1"
}

port_taken() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || [ -n "$(ss -Hltn "sport = :$1" 2>/dev/null)" ]
}

# Who listens there, as far as we may know: "haproxy, pid 123".
port_owner() {
    ss -Hltnp "sport = :$1" 2>/dev/null | sed -nE 's/.*users:\(\("([^"]*)",pid=([0-9]+).*/\1, pid \2/p' | head -n 1
}

# need_space DIRECTORY MEGABYTES WHAT: the nearest directory that exists is asked.
need_space() {
    local dir=$1 free

    until [ -d "$dir" ]; do
        dir=$(dirname "$dir")
    done
    free=$(df -P -m -- "$dir" 2>/dev/null | awk 'NR == 2 { print $4 }') || return 0
    [ -z "$free" ] || [ "$free" -ge "$2" ] ||
        die "only $free MB are free in $dir, and $3 needs $2" "make room, or choose another place"
}

json_string() {
    local s=$1

    s=${s//\\/\\\\}
    s=${s//\"/\\\"}
    printf '"%s"' "$s"
}

# json_field NAME: the value of a string member in the one flat JSON object on stdin.
json_field() {
    sed -n 's/.*"'"$1"'" *: *"\([^"]*\)".*/\1/p' | head -n 1
}

# random_base64 BYTES
random_base64() {
    head -c "$1" /dev/urandom | base64 -w 0
}

# keep_secret FILE: stores stdin for the owner alone, whole or not at all.
keep_secret() {
    (umask 077 && cat >"$1.new" && mv -f "$1.new" "$1")
}

# replace_if_changed FILE: stores stdin; 1 when that is what the file held already.
replace_if_changed() {
    (umask 077 && cat >"$1.new")
    if cmp -s "$1.new" "$1"; then
        rm -f "$1.new"
        return 1
    fi
    mv -f "$1.new" "$1"
}
