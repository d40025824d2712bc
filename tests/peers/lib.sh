# lib.sh - what tests/peers/build and tests/peers/path share: names, places, keys. Sourced, not run.
#
# A peer is a real program that the end-to-end tests talk to. Each has a folder here with a module of ours that
# names it by version (go.mod and go.sum, package.json and package-lock.json, or requirements.txt). What is built goes to a cache
# outside of the clone, keyed by version and by a hash of those files:
#   ${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-~/.cache}/tributary}/peers/NAME-VERSION-HASH

peers_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers_cache=${TRIBUTARY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tributary}/peers
peers_all="loki jaeger prometheus3 node_exporter grpcurl ghz telemetrygen js python"

# peer_describe NAME: sets kind, package, tags, version, files. Fails for a name that is not a peer.
peer_describe() {
    tags=""
    case $1 in
    loki) kind=go package=github.com/grafana/loki/v3/cmd/loki ;;
    jaeger) kind=go package=github.com/jaegertracing/jaeger/cmd/jaeger ;;
    # One dependency of its discovery plugins cannot be had everywhere; no test needs them.
    prometheus3) kind=go package=github.com/prometheus/prometheus/cmd/prometheus tags=remove_all_sd ;;
    node_exporter) kind=go package=github.com/prometheus/node_exporter ;;
    grpcurl) kind=go package=github.com/fullstorydev/grpcurl/cmd/grpcurl ;;
    ghz) kind=go package=github.com/bojand/ghz/cmd/ghz ;;
    telemetrygen) kind=go package=github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen ;;
    js) kind=npm package=@opentelemetry/exporter-trace-otlp-proto ;;
    python) kind=pip package=opentelemetry-sdk ;;
    *) return 1 ;;
    esac
    if [ $kind = go ]; then
        files="go.mod go.sum"
        # The module that holds the package is the longest one required that begins its path.
        version=$(awk -v p="$package" '$1 == "require" { $1 = ""; $0 = $0 } index(p "/", $1 "/") == 1 { print $2; exit }' \
            "$peers_here/$1/go.mod")
    elif [ $kind = pip ]; then
        files="requirements.txt"
        version=$(sed -n "s|^$package==||p" "$peers_here/$1/requirements.txt")
    else
        files="package.json package-lock.json"
        version=$(sed -n "s|.*\"$package\": *\"\([^\"]*\)\".*|\1|p" "$peers_here/$1/package.json")
    fi
}

# peer_place NAME: prints where the built peer is or will be (call peer_describe first).
peer_place() {
    local hash
    hash=$(cd "$peers_here/$1" && cat $files | sha256sum | cut -c1-12)
    echo "$peers_cache/$1-$version-$hash"
}

# peer_entry NAME: prints what tests use of it: the program, or the folder with node_modules or Python packages.
peer_entry() {
    if [ $kind = go ]; then
        echo "$(peer_place "$1")/$1"
    else
        peer_place "$1"
    fi
}
