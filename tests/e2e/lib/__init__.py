"""What the end-to-end tests are written with. A test is an executable in tests/e2e and begins:

    #!/usr/bin/python3
    # needs: loki
    # timeout: 120
    from lib.peers import Loki
    from lib.process import workdir

Modules, each documented at its top:
    process   folders, ports, child processes that never outlive the test
    wait      waiting for a condition
    peers     real Prometheus (2.42 and 3), Loki, Jaeger
    programs  tributary-agent and tributary-gateway
    query     what the peers have stored
    proxy     a recording proxy in front of a backend, which can misbehave
    decode    independent decoders and encoders of the three wire formats
    crilog    pod log files as a container runtime writes them

Only Debian's python3, python3-protobuf, python3-snappy and protoc are used. A test fails by an exception or `assert`,
prints what it counted, and waits for conditions instead of sleeping.
"""
