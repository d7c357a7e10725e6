"""The image: built from the Dockerfile, run as nobody in particular on a root that cannot be written to."""

import io
import json
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Picture

from imagemill.model.signing import sign
from support.image import DATA, Container, Image, built, running
from support.mill import until
from support.ports import free_port

pytestmark = pytest.mark.timeout(900)  # its fixture builds

KEY = "k" * 32
TARGET = b"/image?source=local:sample/dandelion.jpg&width=96&format=avif"
UID = 10_001


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    with built(tmp_path_factory.mktemp("image"), EXTRAS="redis", VERSION="1.2.3") as made:
        yield made


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def container(image: Image, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One that serves signed URLs and takes jobs, once it says that it is well."""
    env = {
        "IMAGEMILL_SIGNING__KEYS__k1": KEY,
        "IMAGEMILL_SERVER__HOST": "127.0.0.1",  # there is no network of its own here
        "IMAGEMILL_SERVER__PORT": str(ports[0]),
        "IMAGEMILL_SERVER__ADMIN_PORT": str(ports[1]),
    }
    with running(image, tmp_path_factory.mktemp("run"), "serve", "--sample", **env) as one:
        until(lambda: one.run(*_check(image)).status == 0, "the health check passes", 120)
        yield one


def _check(image: Image) -> list[str]:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert kind == "CMD"
    return command


def test_what_the_image_says_of_itself(image: Image) -> None:
    """Its labels, a user that is a number, one volume, one port, and a stop that is asked for."""
    config = image.config

    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert (labels["title"], labels["licenses"]) == (project["name"], project["license"])
    assert labels["version"] == "1.2.3"
    assert (config["User"], config["StopSignal"]) == (f"{UID}:{UID}", "SIGTERM")
    assert (list(config["Volumes"]), list(config["ExposedPorts"])) == ([DATA], ["8080/tcp"])
    assert image.env["IMAGEMILL_SERVER__HOST"] == "0.0.0.0"


def test_no_tool_of_the_build_is_left(image: Image) -> None:
    """Neither pip nor the backend in the environment, no source tree, no way to a package index."""
    (packages,) = (image.root / "opt/imagemill/lib").glob("python3.*/site-packages")
    names = {path.name.partition("-")[0].lower() for path in packages.iterdir()}

    assert {"imagemill", "redis", "hiredis", "pyvips"} <= names
    assert names & {"pip", "setuptools", "wheel", "hatchling", "editables", "opendal", "temporalio"} == set()
    assert not (image.root / "build").exists()
    assert not (image.root / "etc/pip.conf").exists()


def test_a_signed_picture_is_served(container: Container, ports: tuple[int, int]) -> None:
    """In the format that is dearest to make, by a worker in there."""
    target = sign(TARGET, "k1", KEY.encode()).decode()

    with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}{target}", timeout=60) as reply:
        picture = Picture.open(io.BytesIO(reply.read()))

    assert (reply.headers["content-type"], picture.width) == ("image/avif", 96)


def test_nothing_in_it_is_root(container: Container) -> None:
    """The front, its workers, the job process: all of the image's user, without a capability."""
    until(lambda: len(container.processes()) >= 3, "front, worker and job process", 60)

    states = [dict(_states(pid)) for pid in container.processes()]

    assert {state["Uid"].split()[1] for state in states} == {str(UID)}
    assert {int(state["CapEff"], 16) for state in states} == {0}


def _states(pid: int) -> Iterator[tuple[str, str]]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        yield name, value


def test_its_root_cannot_be_written_to(container: Container) -> None:
    """Not even by root; so whatever was served, was served without."""
    for place in ("/x", "/tmp/x", "/opt/imagemill/x"):
        tried = container.run("sh", "-c", f": > {place}", user="0:0")
        assert (tried.status != 0, "ead-only" in tried.words) == (True, True), tried.words


def test_jobs_are_kept_in_the_volume(container: Container, ports: tuple[int, int]) -> None:
    """A job, its file and its result lie there, and nowhere else could they."""
    env = container.env
    container.env = env | {"IMAGEMILL_URL": f"http://127.0.0.1:{ports[0]}"}
    words = ("local:sample/dandelion.jpg", "-r", "small:width=32,format=webp", "--to", "out/x", "--wait")
    made = container.run("imagemill", "jobs", "submit", *words)
    kept = container.run("sh", "-c", f"ls -R {DATA}")
    container.env = env

    assert (made.status, "succeeded" in made.words) == (0, True), made.words
    assert "small.webp" in kept.words


def test_the_check_fails_where_nothing_answers(container: Container, image: Image) -> None:
    """It asks; it does not merely start."""
    env = container.env
    container.env = env | {"IMAGEMILL_SERVER__ADMIN_PORT": str(free_port())}
    tried = container.run(*_check(image))
    container.env = env

    assert (tried.status, "no node answers" in tried.words) == (1, True)


def test_without_a_key_it_refuses_to_start(image: Image, tmp_path: Path) -> None:
    """Whoever runs it plainly, reachable by others, is told what is missing."""
    with running(image, tmp_path) as one:
        assert one._outer.wait(60) == 2

    assert "signing.keys is empty" in one.log.read_text()


def test_it_stops_when_it_is_asked_to(container: Container, ports: tuple[int, int]) -> None:
    """As process 1, where signals without a handler are lost; this is the last test of the container."""
    with urllib.request.urlopen(f"http://127.0.0.1:{ports[1]}/version", timeout=30) as reply:
        assert "libvips" in json.loads(reply.read())

    assert container.stop() == 0
