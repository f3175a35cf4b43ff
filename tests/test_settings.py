"""Settings: each one documented, safe by default, and system checks that say how to mend an installation."""

import ast
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core import checks

from operations import checks as our_checks

ROOT = Path(__file__).parent.parent
# Read elsewhere than in settings.py: by manage.py demo, and by settings.py straight from os.environ.
ALSO = {"MOONWALK_DEMO_PASSWORD", "MOONWALK_ENV_FILE"}


def names_read(source: str) -> set[str]:
    """Every name that a settings file reads: env("X"), env.db_url("X"), Env(X=...), os.environ.get("X")."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "environ.Env":
                found |= {keyword.arg for keyword in node.keywords}
            elif called == "env" or called.startswith(("env.", "os.environ.get", "os.getenv")):
                found |= {a.value for a in node.args[:1] if isinstance(a, ast.Constant)}
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            found.add(node.slice.value)
    return found


READ = names_read((ROOT / "moonwalk" / "settings.py").read_text()) | ALSO


def test_the_parser_sees_every_way_to_read_a_setting():
    source = 'env = environ.Env(A=(bool, 0))\nenv("B")\nenv.bool("C")\nos.environ["D"]\nos.environ.get("E")'
    assert names_read(source) == {"A", "B", "C", "D", "E"}
    assert {"DATABASE_URL", "REDIS_URL", "DEBUG", "MOONWALK_DATA_DIR"} <= READ


@pytest.mark.parametrize("name", sorted(READ))
def test_every_setting_is_documented(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "settings.md").read_text(), "add a row to docs/settings.md"
    if name != "MOONWALK_ENV_FILE":  # it names the file, so it can't stand in it
        assert re.search(rf"^(# )?{name}=", (ROOT / ".env.example").read_text(), re.M), "add it to .env.example"


def test_no_document_names_a_setting_that_is_gone():
    documented = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.M))
    assert documented == READ
    assert set(re.findall(r"^(?:# )?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)) <= READ


def run_settings(tmp_path, what: str, **environment) -> subprocess.CompletedProcess:
    """Evaluate `what` under the settings in a process with this environment alone."""
    code = f"import json; from django.conf import settings; print(json.dumps({what}))"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "moonwalk.settings", "MOONWALK_ENV_FILE": "",
             "MOONWALK_DATA_DIR": str(tmp_path / "data"), **environment},
    )  # fmt: skip


def test_defaults_are_safe_and_alone(tmp_path):
    what = (
        "[settings.DEBUG, settings.REDIS_URL, settings.CACHES['default']['BACKEND'], settings.CELERY_BROKER_URL, "
        "settings.CELERY_TASK_ALWAYS_EAGER, settings.DATABASES['default']['NAME'], settings.ALLOWED_HOSTS]"
    )
    run = run_settings(tmp_path, what)
    debug, redis, cache, broker, eager, database, hosts = json.loads(run.stdout)
    assert (debug, redis, broker, eager) == (False, "", "memory://", True)
    assert "redis" not in cache.lower()
    assert database == str(tmp_path / "data" / "db.sqlite3")
    assert hosts == ["127.0.0.1", "localhost", "[::1]"]


def test_the_secret_key_is_made_once_and_is_its_owners_alone(tmp_path):
    first, second = (json.loads(run_settings(tmp_path, "settings.SECRET_KEY").stdout) for _ in range(2))
    assert first == second
    assert len(first) > 60
    assert stat.S_IMODE((tmp_path / "data" / "secret_key").stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["secret_key"]


def test_https_secures_the_cookies(tmp_path):
    what = "[settings.SESSION_COOKIE_SECURE, settings.CSRF_COOKIE_SECURE, settings.SECURE_SSL_REDIRECT]"
    assert json.loads(run_settings(tmp_path, what, MOONWALK_HTTPS="True").stdout) == [True, True, True]
    assert json.loads(run_settings(tmp_path, what).stdout) == [False, False, False]


def test_another_business_file_sets_the_clock(tmp_path):
    file = tmp_path / "other.toml"
    text = (ROOT / "etl" / "business.toml").read_text()
    file.write_text(text.replace('"Asia/Dubai"', '"Europe/Vienna"').replace('"06:00"', '"05:30"'))
    run = run_settings(tmp_path, "[settings.TIME_ZONE, settings.REFRESH_AT]", MOONWALK_BUSINESS_FILE=str(file))
    assert json.loads(run.stdout) == ["Europe/Vienna", "05:30"]


# --- What no process starts with ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decorator",
    ["analytics.access.no_such_function", "django_plotly_dash.access.login_required",
     *(pytest.param(other, marks=pytest.mark.full)
       for other in ("analytics.no_such_module.dash_view", "", "analytics.access.can_see"))],
)  # fmt: skip
def test_no_server_starts_with_dashboards_open_to_everybody(tmp_path, decorator):
    """gunicorn imports moonwalk.wsgi and runs no system check; django-plotly-dash swallows a wrong path."""
    code = f"import moonwalk.settings as s; s.PLOTLY_DASH['view_decorator'] = {decorator!r}; import moonwalk.wsgi"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60,
        env={"PATH": os.environ["PATH"], "MOONWALK_ENV_FILE": "", "MOONWALK_DATA_DIR": str(tmp_path / "data")},
    )  # fmt: skip
    assert run.returncode == 1
    assert "ImproperlyConfigured: The dashboards would be open to everybody" in run.stderr
    assert decorator in run.stderr


@pytest.mark.full  # as servers do in tests/operations/test_servers.py
def test_a_server_starts_with_the_settings_as_they_are(tmp_path):
    assert json.loads(run_settings(tmp_path, "bool(__import__('moonwalk.wsgi'))").stdout) is True


# --- System checks -------------------------------------------------------------------------------------------------


def ids(found) -> list[str]:
    for message in found:
        assert message.hint, f"{message.id} doesn't say how to mend it"
    return [message.id for message in found]


def test_this_installation_passes_its_checks(settings, tmp_path):
    settings.EXPORTS_DIR = tmp_path
    assert not checks.run_checks()


def test_links_in_messages_that_lead_to_the_readers_own_machine_are_warned_of(settings):
    settings.SITE_URL = "http://127.0.0.1:8000"
    assert our_checks.links_in_messages_lead_here(None) == []  # nothing leaves the house
    settings.SLACK_WEBHOOK = "https://hooks.slack.com/services/secret"
    assert ids(found := our_checks.links_in_messages_lead_here(None)) == ["moonwalk.W004"]
    assert "secret" not in str(found)
    settings.SITE_URL = "https://figures.example.com"
    assert our_checks.links_in_messages_lead_here(None) == []


def test_a_data_folder_that_is_a_file_is_an_error(settings, tmp_path):
    (tmp_path / "file").write_text("")
    settings.DATA_DIR = tmp_path / "file" / "data"
    assert ids(our_checks.data_folder(None)) == ["moonwalk.E001"]
    settings.DATA_DIR = tmp_path / "new" / "data"
    assert ids(our_checks.data_folder(None)) == []


def test_a_missing_exports_folder_is_a_warning(settings, tmp_path):
    settings.EXPORTS_DIR = tmp_path / "absent"
    assert ids(our_checks.exports_folder(None)) == ["moonwalk.W001"]


@pytest.mark.parametrize("content", [None, "name = ", 'name = "X"'])
def test_a_missing_or_wrong_business_file_is_an_error(settings, tmp_path, content):
    settings.BUSINESS_FILE = tmp_path / "business.toml"
    if content is not None:
        settings.BUSINESS_FILE.write_text(content)
    assert ids(our_checks.business_file(None)) == ["moonwalk.E002"]


@pytest.mark.parametrize("key", ["secret", "a" * 60, "please-change-me-0123456789-0123456789-0123456789"])
def test_a_weak_secret_key_is_an_error(settings, key):
    settings.SECRET_KEY = key
    assert ids(our_checks.secret_key_is_secret(None)) == ["moonwalk.E005"]
    settings.DEBUG = True
    assert ids(our_checks.secret_key_is_secret(None)) == []


def test_a_secret_key_that_cannot_be_kept_is_an_error(settings):
    settings.SECRET_KEY_IS_KEPT = False
    assert ids(our_checks.secret_key_is_secret(None)) == ["moonwalk.E004"]


def test_redis_is_asked_only_when_it_is_set(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nothing listens on port 1
    assert ids(our_checks.redis_answers(None)) == ["moonwalk.W002"]
    settings.REDIS_URL = ""
    assert ids(our_checks.redis_answers(None)) == []


def test_plain_static_files_are_a_deployment_warning(settings):
    assert ids(our_checks.static_files_are_hashed(None)) == ["moonwalk.W003"]
    settings.HASHED_STATIC = True
    assert ids(our_checks.static_files_are_hashed(None)) == []


# --- Content-Security-Policy ---------------------------------------------------------------------------------------


def test_every_answer_carries_a_strict_policy(client, db):
    header = client.get("/login/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in header
    scripts = next(part for part in header.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "frame-ancestors 'none'" in header


def test_only_the_admin_may_evaluate(client, db):
    assert "'unsafe-eval'" in client.get("/admin/login/").headers["Content-Security-Policy"]
    assert "'unsafe-eval'" not in client.get("/login/?next=/admin/").headers["Content-Security-Policy"]


def test_the_one_inline_script_of_a_dashboard_has_the_hash_that_is_allowed():
    import base64
    import hashlib

    digest = hashlib.sha256(b"var renderer = new DashRenderer();").digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" == settings.DASH_INLINE_SCRIPT
