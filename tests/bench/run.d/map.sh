# The network map: the account library alone, on accounts of growing size in a Postgres of their own; and management's part of
# a change that concerns everybody, while all its maps fit into memory.

MAP_SIZES=(100 1000 5000 20000 50000)

bench_map() {
    local round size loopback=$LOOPBACK

    LOOPBACK=yes
    instance_up
    for ((round = 0; round < ROUNDS; round++)); do
        for size in "${MAP_SIZES[@]}"; do
            measure map - ours "$BIN/bench-map" "$size" "$(postgres_conninfo)"
            # On all cores: its makers are threads.
            ((size > 5000)) || PIN=no measure map - ours "$BIN/bench-map_push" "$size" "$(postgres_conninfo)"
        done
    done
    instance_down
    LOOPBACK=$loopback
}
