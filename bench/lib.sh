# lib.sh - what bench/run needs to start the two programs and to read what they used. Sourced, not run.
#
# Expects $build (folder with the programs) and $work (a folder of this run). Every program started here is in
# $started and is ended by stop_all.

started=()

# free_port: prints a port of loopback that nobody listens on, below the range of outgoing connections.
free_port() {
    local port
    while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

# start NAME PROGRAM ARGUMENT...: runs it in the background, output to $work/NAME.log; its id is in $pid.
start() {
    local name=$1
    shift
    "$build/$1" "${@:2}" >"$work/$name.log" 2>&1 &
    pid=$!
    started+=("$pid")
}

# stop PID: SIGTERM, and waits for the end of it.
stop() {
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

stop_all() {
    local one
    for one in "${started[@]}"; do stop "$one"; done
    started=()
}

# until_true SECONDS COMMAND...: repeats a command twenty times a second until it succeeds.
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        if [ $SECONDS -gt $end ]; then
            echo "bench: not in time: $*" >&2
            tail -n 20 "$work"/*.log >&2
            exit 1
        fi
        sleep 0.05
    done
}

is_ready() { curl -sf -o /dev/null "http://127.0.0.1:$1/-/ready"; }

# metric PORT NAME [LABEL]: the sum of the series of that name whose labels contain LABEL.
metric() {
    curl -s "http://127.0.0.1:$1/metrics" |
        awk -v name="$2" -v label="${3:-}" \
            '{ split($1, n, "{") } n[1] == name && index($0, label) { sum += $2 } END { printf "%.0f\n", sum }'
}

# cpu_s PID: CPU seconds of the process so far, its ended threads included. The 2nd field may hold blanks.
cpu_s() { sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%.3f\n", ($12 + $13) / hz }'; }

# memory_mb PID VmRSS|VmHWM: resident memory now, or the most so far.
memory_mb() { awk -v key="$2:" '$1 == key { printf "%.1f\n", $2 / 1024 }' "/proc/$1/status"; }

# note KEY VALUE: one measurement of this run; median KEY, most KEY: the median of all of them, the largest.
note() { echo "$1 $2" >>"$work/notes"; }
median() {
    awk -v key="$1" '$1 == key { print $2 }' "$work/notes" | sort -g |
        awk '{ v[NR] = $1 } END { printf "%.3f\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

most() { awk -v key="$1" '$1 == key && $2 > most { most = $2 } END { printf "%.3f\n", most }' "$work/notes"; }

# value LINE KEY: the number behind KEY= in a line of results.
value() { sed -n "s/.* $2=\([0-9.]*\).*/\1/p" <<<"$1"; }

calc() { awk "BEGIN { printf \"%.3f\n\", $1 }"; }

# write_gateway FOLDER SINK_PORT|none: a gateway's config; sets $gateway_port, $gateway_web.
write_gateway() {
    local signal
    gateway_port=$(free_port) gateway_web=$(free_port)
    mkdir -p "$1/buffer"
    {
        printf 'name: bench\nagents: {listen: ["tcp://127.0.0.1:%s"]}\n' "$gateway_port"
        printf 'web: {listen: "127.0.0.1:%s"}\nbuffer: {folder: "%s/buffer"}\n' "$gateway_web" "$1"
        for signal in metrics logs traces; do
            printf '%s:\n  quota: 16GiB\n' $signal
            if [ "$2" != none ]; then
                printf '  backends: [{name: sink, url: "http://127.0.0.1:%s/%s", stream_rate: 0}]\n' "$2" $signal
            fi
        done
    } >"$1/gateway.yaml"
}

# write_agent FOLDER GATEWAY_PORT host_metrics_on|host_metrics_off: an agent's config; sets $agent_web, $agent_otlp.
write_agent() {
    agent_web=$(free_port) agent_otlp=$(free_port)
    mkdir -p "$1/state" "$1/pods"
    cat >"$1/agent.yaml" <<YAML
node_name: bench
state_folder: "$1/state"
gateway: {addresses: ["tcp://127.0.0.1:$2"]}
web: {listen: "127.0.0.1:$agent_web"}
host_metrics: {enabled: $([ "$3" = host_metrics_on ] && echo true || echo false), interval: 15s}
logs: {root: "$1/pods"}
otlp: {listen_http: "127.0.0.1:$agent_otlp", listen_grpc: ""}
YAML
}
