# SPDX-License-Identifier: Apache-2.0
"""The Docker of the tests, a private one with the images of the test runtimes, through its API."""

import functools
import json
import os
import pathlib
import shutil
import signal
import subprocess

from api import http_request
from places import BUILD, IMAGES_DIR, ROOT, TEST_DIR


class Docker:
    """The Docker that the tests use, through its API. It is theirs alone."""

    def __init__(self, path, daemon_json, pid):
        self.path = path
        self.daemon_json = daemon_json
        self.pid = pid

    def register(self, name, runtime):
        """Writes an OCI runtime (None: takes it out) into daemon.json, without a reload."""
        document = json.loads(pathlib.Path(self.daemon_json).read_text(encoding="utf-8"))
        document["runtimes"].pop(name, None)
        if runtime is not None:
            document["runtimes"][name] = runtime
        pathlib.Path(self.daemon_json).write_text(json.dumps(document), encoding="utf-8")

    def reload(self):
        os.kill(self.pid, signal.SIGHUP)

    def oci_runtimes(self):
        return self.call("GET", "/info").json["Runtimes"]

    def call(self, method, target, body=None, expect=(200, 201, 204, 304), raw=None):
        headers = {"Content-Type": "application/json"} if raw is None else {"Content-Type": "application/x-tar"}
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        answer = http_request(self.path, method, target, data, headers, timeout=60)
        if answer.status not in expect:
            raise AssertionError(f"Docker: {method} {target}: {answer!r}")
        return answer

    def containers(self, instance):
        """Containers, in any state, one of whose labels has the agent's instance as its value."""
        everything = self.call("GET", "/containers/json?all=1").json
        return [one for one in everything if instance in (one["Labels"] or {}).values()]

    def running(self, instance):
        return [one for one in self.containers(instance) if one["State"] == "running"]

    def inspect(self, container):
        return self.call("GET", f"/containers/{container}/json").json

    def exists(self, container):
        return self.call("GET", f"/containers/{container}/json", expect=(200, 404)).status == 200

    def create(self, image, labels):
        """A container that is never started."""
        spec = {"Image": image, "Labels": labels, "Cmd": ["/bin/busybox"]}
        return self.call("POST", "/containers/create", spec).json["Id"]

    def remove(self, container):
        self.call("DELETE", f"/containers/{container}?force=1", expect=(204, 404, 409))

    def images(self):
        """Name → id, of those that have one."""
        everything = self.call("GET", "/images/json").json
        return {tag: one["Id"] for one in everything for tag in one["RepoTags"] or [] if tag != "<none>:<none>"}

    def image_ids(self):
        return {one["Id"] for one in self.call("GET", "/images/json").json}

    def image(self, name):
        return self.call("GET", f"/images/{name}/json").json

    def tag(self, image, repository):
        self.call("POST", f"/images/{image}/tag?repo={repository}&tag=latest")

    def untag(self, image):
        self.call("DELETE", f"/images/{image}?noprune=1", expect=(200, 404))

    def import_tar(self, repository, label, tar=bytes(10240), variable=None):
        """An image of these files, by default none, that has one label, and one variable if it is given."""
        changes = f"&changes=LABEL%20{label}" + (f"&changes=ENV%20{variable}" if variable else "")
        self.call("POST", f"/images/create?fromSrc=-&repo={repository}&tag=latest{changes}", raw=tar)


def script(*command, folder=TEST_DIR, wrapper=()):
    """A script of tests/dev for the environment of the tests; its answer, lines of NAME=value, as a dict."""
    environment = dict(os.environ, TEE_DEV_DIR=str(folder), BUILD=str(BUILD))
    done = subprocess.run([*wrapper, ROOT / "tests" / "dev" / command[0], *command[1:]], env=environment,
                          stdout=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"tests/dev/{' '.join(command)} ended with {done.returncode}")
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@functools.lru_cache(maxsize=None)
def docker():
    """Brings it up, once."""
    lines = script("test-docker")
    return Docker(lines["TEE_DOCKER_SOCKET"], lines["TEE_DOCKER_DAEMON_JSON"], int(lines["TEE_DOCKER_PID"]))


@functools.lru_cache(maxsize=None)
def secluded_docker():
    """Another one, without any image, in a network namespace of its own, where a test may have a registry."""
    lines = script("docker", "up", "--private", folder=IMAGES_DIR, wrapper=["unshare", "--net"])
    return Docker(lines["TEE_DOCKER_SOCKET"], lines["TEE_DOCKER_DAEMON_JSON"], int(lines["TEE_DOCKER_PID"]))


def docker_down():
    script("docker", "down")
    if secluded_docker.cache_info().currsize:
        script("docker", "down", folder=IMAGES_DIR)
        shutil.rmtree(IMAGES_DIR)
