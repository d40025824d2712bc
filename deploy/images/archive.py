#!/usr/bin/python3
"""archive.py TREE OUT.tar --name NAME:TAG --entrypoint PATH [--user UID:GID] - an image of one layer, without a Docker engine.

The format is what `docker save` writes (manifest.json, a configuration, layers as tar files), which docker load, podman load,
ctr images import and k3s ctr images import take. The same tree gives the same bytes: owners are 0:0, times are 0.
"""

import argparse
import hashlib
import io
import json
import os
import platform
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def plain(info):
    """A member without what differs from machine to machine."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = ""
    return info


def layer_of(tree):
    """The tree as an uncompressed tar: every folder before what is in it, in order of names."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for folder, folders, files in os.walk(tree):
            folders.sort()
            inside = os.path.relpath(folder, tree)
            if inside != ".":
                tar.add(folder, inside, recursive=False, filter=plain)
            for name in sorted(files):
                tar.add(os.path.join(folder, name), os.path.normpath(os.path.join(inside, name)), filter=plain)
    return out.getvalue()


def configuration(layer, entrypoint, user):
    return json.dumps({
        "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()), "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": [entrypoint], "User": user, "WorkingDir": "/", "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "deploy/images/archive.py"}],
    }, sort_keys=True).encode()


def write(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))


def main():
    parser = argparse.ArgumentParser(description="Writes an image of one layer.")
    parser.add_argument("tree")
    parser.add_argument("out")
    parser.add_argument("--name", required=True)
    parser.add_argument("--entrypoint", required=True)
    parser.add_argument("--user", default="0:0")
    options = parser.parse_args()
    layer = layer_of(options.tree)
    config = configuration(layer, options.entrypoint, options.user)
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    layer_name = hashlib.sha256(layer).hexdigest() + "/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [options.name], "Layers": [layer_name]}]
    write(options.out, [("manifest.json", json.dumps(manifest).encode()), (config_name, config), (layer_name, layer)])


if __name__ == "__main__":
    main()
