"""What the image and the services are made of, as far as it can be said without a Docker daemon; `check --deploy`."""

import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from tests.conftest import ROOT, free_port, wait_for
from tests.test_settings import READ

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service.get("image") == "moonwalk"}
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
EXAMPLE = dict(re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / "compose.env.example").read_text(), re.M))
# Settings of compose.yaml itself, and gunicorn's own.
NOT_OURS = {"POSTGRES_PASSWORD", "EXPORTS_FOLDER", "BACKUPS_FOLDER", "WEB_PORT", "WEB_CONCURRENCY"}


def lines(word: str) -> list[str]:
    return re.findall(rf"^{word}\s+(.*)$", DOCKERFILE, re.M)


PROBE = yaml.safe_load(lines("HEALTHCHECK")[0].partition("CMD ")[2])


def test_the_services_are_those_of_an_installation():
    assert set(SERVICES) == {"migrate", "web", "worker", "clock", "backup", "redis", "postgres"}
    assert set(SERVICES) - OURS == {"redis", "postgres"}
    always = set(SERVICES) - {"migrate", "backup"}
    assert {name for name in SERVICES if SERVICES[name]["restart"] == "unless-stopped"} == always
    assert "build" in SERVICES["migrate"]


def test_everything_that_runs_is_looked_at_and_waits_for_what_it_needs():
    for name in ("worker", "clock", "redis", "postgres"):
        assert SERVICES[name]["healthcheck"]["test"], name
    assert PROBE[0] == "python" and "/healthz" in PROBE[2], "the web server's is the image's"
    for name in ("web", "worker", "clock"):
        assert {other: needs["condition"] for other, needs in SERVICES[name]["depends_on"].items()} == {
            "migrate": "service_completed_successfully", "postgres": "service_healthy", "redis": "service_healthy",
        }, name  # fmt: skip


def test_what_has_to_survive_lies_in_named_volumes():
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
             if not volume.startswith(("$", ".", "/"))}  # fmt: skip
    assert named == set(COMPOSE["volumes"]) == {"data", "redis", "postgres"}
    for name in OURS:
        assert "data:/data" in SERVICES[name]["volumes"], name
        assert any(v.endswith(":/exports:ro") for v in SERVICES[name]["volumes"]), name
    assert SERVICES["redis"]["command"][-2:] == ["--appendonly", "yes"]


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_service_runs_exists(name):
    command = SERVICES[name].get("command") or yaml.safe_load(lines("CMD")[-1])
    assert shutil.which(command[0]) or shutil.which(command[0], path=Path(sys.executable).parent)
    if command[:2] == ["python", "manage.py"]:
        assert command[2] in get_commands()
    elif command[0] == "celery":
        assert command[1:4] == ["--quiet", "-A", "moonwalk"] and command[4] in ("worker", "beat")
    else:
        assert command[:2] == ["gunicorn", "moonwalk.wsgi"]
        assert (ROOT / command[command.index("--config") + 1]).is_file()
    check = SERVICES[name].get("healthcheck", {}).get("test", [])
    if "-m" in check:
        assert (ROOT / f"{check[-1].replace('.', '/')}.py").is_file()


def test_names_are_known_settings_and_no_secret_stands_in_any_of_it():
    given = {name for service in OURS for name in SERVICES[service]["environment"]}
    baked = {name for line in lines("ENV") for name in re.findall(r"(\w+)=", line)}
    assert given <= READ
    assert set(EXAMPLE) - NOT_OURS <= READ
    assert {n for n in baked if n.startswith("MOONWALK") or n in ("LOG_FORMAT", "SECRET_KEY")} <= READ
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert asked <= set(EXAMPLE)
    assert not any(EXAMPLE[name] for name in EXAMPLE if re.search("PASSWORD|KEY|TOKEN|WEBHOOK|DSN|URL$", name)
                   and name != "MOONWALK_SITE_URL")  # fmt: skip
    assert not re.search("SECRET|KEY|PASSWORD|TOKEN", " ".join(baked))
    assert lines("ARG") == []


def test_only_the_proxy_on_this_machine_reaches_the_server():
    assert SERVICES["web"]["ports"] == ["127.0.0.1:${WEB_PORT:-8000}:8000"]
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]


def test_the_image_is_slim_and_runs_as_nobody_in_particular():
    assert [line.split()[0] for line in lines("FROM")] == ["python:3.11-slim"] * 2
    assert lines("USER") == ["10001:10001"]
    last = DOCKERFILE[DOCKERFILE.rindex("FROM") :]
    assert "pip" not in last and "chown" not in re.findall(r"^COPY.*$", last, re.M)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".env.*", ".git", "var", "tests", "staticfiles", "*.sqlite3*"} <= set(ignored)


def production(tmp_path: Path, **more: str) -> dict[str, str]:
    """The environment that docs/deploy.md tells for production, as far as no other server is needed."""
    (tmp_path / "exports").mkdir(exist_ok=True)
    return {
        "PATH": "/usr/bin:/bin", "MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(tmp_path / "data"),
        "MOONWALK_EXPORTS_DIR": str(tmp_path / "exports"), "ALLOWED_HOSTS": "figures.example.com",
        "MOONWALK_SITE_URL": "https://figures.example.com", "MOONWALK_HTTPS": "True", "MOONWALK_HASHED_STATIC": "True",
    } | more  # fmt: skip


def test_check_deploy_has_nothing_to_say(tmp_path):
    run = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "DEBUG"], cwd=ROOT, capture_output=True,
        text=True, timeout=90, env=production(tmp_path),
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "no issues" in run.stdout + run.stderr


def test_the_documented_environment_is_the_one_that_was_checked(tmp_path):
    told = (ROOT / "docs" / "deploy.md").read_text()
    for name in ("ALLOWED_HOSTS", "MOONWALK_SITE_URL", "MOONWALK_HTTPS", "MOONWALK_HASHED_STATIC"):
        assert f"{name}={production(tmp_path)[name]}" in told


# --- The steps of the Dockerfile, by hand ---------------------------------------------------------------------------


def get(address: str):
    """As the proxy asks."""
    headers = {"X-Forwarded-Proto": "https", "Accept-Encoding": "br"}
    return urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=20)


def ignored(name: str, patterns: list[str]) -> bool:
    path = Path(name)
    return any(path.match(p) or path.parts[0] == p or name.startswith(f"{p}/") for p in patterns)


@pytest.mark.full
@pytest.mark.own_database
def test_what_goes_into_the_image_collects_starts_and_is_healthy(tmp_path):
    """Without tests, scripts and docs' pictures, in an empty environment, from a folder that can't be written."""
    app, data = tmp_path / "app", tmp_path / "data"
    patterns = [p for p in (ROOT / ".dockerignore").read_text().splitlines() if p and not p.startswith("#")]
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if not ignored(name, patterns) and (ROOT / name).is_file():
            (app / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, app / name)
    assert not (app / "tests").exists()
    step = next(line for line in lines("RUN") if "collectstatic" in line)
    here = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    subprocess.run(["bash", "-c", step], cwd=app, env=here, check=True, timeout=300)
    assert not (app / "var").exists(), "no key, no data"
    assert any((app / "staticfiles").rglob("*.br"))

    port = free_port()
    baked = dict(re.findall(r"(MOONWALK_\w+|LOG_FORMAT)=(\S+)", " ".join(lines("ENV"))))
    environment = here | baked | {"MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(data), "MOONWALK_HTTPS": "True"}
    manage = [sys.executable, "manage.py"]
    subprocess.run([*manage, "migrate", "-v0"], cwd=app, env=environment, check=True, timeout=120)
    command = yaml.safe_load(lines("CMD")[-1])
    server = subprocess.Popen(
        [part.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for part in command], cwd=app, env=environment,
        stderr=subprocess.DEVNULL, executable=shutil.which("gunicorn", path=here["PATH"]),
    )  # fmt: skip
    try:
        probe = [sys.executable, "-c", PROBE[2].replace("8000", str(port))]
        wait_for(lambda: subprocess.run(probe, capture_output=True).returncode == 0, 60, every=0.5)
        page = get(f"http://127.0.0.1:{port}/login/").read().decode()
        style = get(f"http://127.0.0.1:{port}" + re.search(r"/static/moonwalk\.[0-9a-f]{12}\.css", page)[0])
        assert style.headers["Content-Encoding"] == "br" and "immutable" in style.headers["Cache-Control"]
    finally:
        server.terminate()
        server.wait(60)
