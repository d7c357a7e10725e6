"""deploy/compose.yaml is what Docker Compose understands, holds both services close, and names settings that exist."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagemill.configuration import load
from imagemill.model.errors import SettingsError
from imagemill.settings import Jobs, Server
from imagemill.wiring_port import kind
from support.programs import program
from support.redis import standalone

DEPLOY = Path(__file__).parents[3] / "deploy"
EXAMPLE = DEPLOY / "imagemill.example.toml"


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """As `docker compose config` understands them, in a folder of their own and without anybody's variables."""
    folder = tmp_path_factory.mktemp("compose")
    shutil.copy(DEPLOY / "compose.yaml", folder)
    made = subprocess.run(
        [program("docker-compose", str(Path(sys.executable).parent)), "config", "--format", "json"],
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder)}, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert made.stderr == ""
    found: dict[str, Any] = json.loads(made.stdout)["services"]
    return found


@pytest.mark.parametrize("name", ["imagemill", "redis"])
def test_each_service_is_held_close(services: dict[str, Any], name: str) -> None:
    """No root file system to write to, no capability, no privilege to gain; bounded in memory, CPU and processes."""
    service = services[name]
    limits = service["deploy"]["resources"]["limits"]

    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(limits[bound] for bound in ("memory", "cpus", "pids"))


def test_only_loopback_is_published(services: dict[str, Any]) -> None:
    """The public port, to this machine's proxy; of the admin port and of Redis nothing."""
    (port,) = services["imagemill"]["ports"]

    assert (port["host_ip"], port["target"]) == ("127.0.0.1", Server().port)
    assert "ports" not in services["redis"]
    assert list(services["redis"]["networks"]) == ["inside"]


def test_a_node_waits_for_a_redis_that_answers(services: dict[str, Any]) -> None:
    assert services["imagemill"]["depends_on"]["redis"]["condition"] == "service_healthy"
    assert services["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]


def test_a_stop_has_the_time_that_it_may_take(services: dict[str, Any]) -> None:
    """Compose kills later than the slowest stop ends."""
    longest_s = Server().drain_s + Server().grace_s + Jobs().grace_s
    grace = services["imagemill"]["stop_grace_period"]

    assert grace == "1m0s"
    assert longest_s + 5 < 60


def test_its_settings_are_settings(services: dict[str, Any], tmp_path: Path) -> None:
    """What the file and the variables say together is valid once the key is one; until then nothing starts."""
    service = services["imagemill"]
    (secret,) = service["secrets"]
    assert service["environment"]["IMAGEMILL_CONFIG"] == f"/run/secrets/{secret['source']}"
    ready = tmp_path / "imagemill.toml"
    ready.write_text(re.sub(r"^# (?=\[storage|kind|root|write)", "", EXAMPLE.read_text(), flags=re.MULTILINE))

    with pytest.raises(SettingsError, match=r"k1.*32"):
        load(EXAMPLE, service["environment"])
    settings = load(ready, {**service["environment"], "IMAGEMILL_SIGNING__KEYS__k1": "k" * 32})

    assert (settings.l2.url, settings.signing.mode) == ("redis://redis:6379/0", "required")
    assert kind(settings) == "embedded"


def test_its_redis_starts_with_what_it_is_told(services: dict[str, Any], tmp_path: Path) -> None:
    """Bounded, evicting what is asked for least, keeping nothing on a disk that cannot be written to."""
    name, *options = services["redis"]["command"]
    assert name == "redis-server"

    with standalone(tmp_path, *options) as server:
        told = server.admin.config_get("maxmemory*")

    assert int(told["maxmemory"]) == 256 * 1024 * 1024
    assert told["maxmemory-policy"] == "allkeys-lfu"
