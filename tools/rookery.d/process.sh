# Processes: started detached, known by pid and start time, so that a pid used again by another is never ours.

# Field 22 of /proc/PID/stat, after the name, which may hold anything; fails for the dead and the undead.
start_time() {
    local stat

    { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    [ "$1" != Z ] && [ "$1" != X ] || return 1
    printf '%s' "${20}"
}

boot_id() {
    cat /proc/sys/kernel/random/boot_id
}

# process_pid NAME: the pid while it is alive and the one we started.
process_pid() {
    local pid started boot

    { read -r pid started boot <"$DIR/pid/$1"; } 2>/dev/null || return 1
    [ "$(start_time "$pid")" = "$started" ] && [ "$boot" = "$(boot_id)" ] || return 1
    printf '%s' "$pid"
}

process_runs() {
    process_pid "$1" >/dev/null
}

process_names() {
    local file

    for file in "$DIR"/pid/*; do
        [ -f "$file" ] && printf '%s\n' "${file##*/}"
    done
}

# Thousands of connections, but no more: some programs lay out memory for every descriptor they might have.
file_limit() {
    local hard

    hard=$(ulimit -Hn)
    if [ "$hard" = unlimited ] || [ "$hard" -gt 65536 ]; then
        hard=65536
    fi
    printf '%s' "$hard"
}

raise_file_limit() {
    ulimit -Sn "$(file_limit)"
}

# process_launch NAME COMMAND...: detached, in a session of its own, output appended to its log. Settings that come
# from our caller's environment would win over the file, so they are taken away.
process_launch() {
    local name=$1 pid

    shift
    printf '%s\n' "--- $(date -u +%FT%TZ) start: $*" >>"$DIR/log/$name.log"
    (
        raise_file_limit
        # shellcheck disable=SC2086
        unset ${!ROOKERY_@}
        cd /
        exec setsid "$@"
    ) </dev/null >>"$DIR/log/$name.log" 2>&1 9>&- &
    pid=$!
    printf '%s %s %s\n' "$pid" "$(start_time "$pid")" "$(boot_id)" >"$DIR/pid/$name"
    disown "$pid" 2>/dev/null || true
}

# process_signal SIGNAL NAME
process_signal() {
    local pid

    pid=$(process_pid "$2") || return 0
    kill -s "$1" "$pid" 2>/dev/null || true
}

process_gone() {
    ! process_runs "$1"
}

# process_stop SIGNAL SECONDS NAME...: all at once; what does not go in time is killed, and said.
process_stop() {
    local signal=$1 seconds=$2 name deadline

    shift 2
    for name in "$@"; do
        process_signal "$signal" "$name"
    done
    deadline=$(($(now_ms) + seconds * 1000))
    for name in "$@"; do
        until process_gone "$name"; do
            if [ "$(now_ms)" -ge "$deadline" ]; then
                note "$name did not end in $seconds s and is killed"
                process_signal KILL "$name"
                wait_until 10 process_gone "$name" || die "$name (pid $(process_pid "$name")) cannot be killed"
                break
            fi
            sleep 0.05
        done
        rm -f "$DIR/pid/$name"
    done
}

# process_failed NAME WHAT [FIX]: the end of its log, then why we stop.
process_failed() {
    local name=$1

    shift
    printf '%s\n' "last lines of $DIR/log/$name.log:" >&2
    tail -n 15 "$DIR/log/$name.log" >&2
    die "$@" "all of its log:  $ROOT/rookery logs --dir $DIR $name"
}
