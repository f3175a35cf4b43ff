"""All settings, read from the environment (or a .env file). docs/settings.md and .env.example explain each name."""

import os
import secrets
from datetime import timedelta
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from etl.business import load_business
from etl.errors import BusinessError
from moonwalk import __version__, logs
from moonwalk.cache import redis_caches

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env(
    DEBUG=(bool, False),
    SECRET_KEY=(str, ""),
    ALLOWED_HOSTS=(list, ["127.0.0.1", "localhost", "[::1]"]),
    CSRF_TRUSTED_ORIGINS=(list, []),
    LOG_LEVEL=(str, "INFO"),
    LOG_FORMAT=(str, "plain"),
    SENTRY_DSN=(str, ""),
    REDIS_URL=(str, ""),
    EMAIL_URL=(str, ""),
    DEFAULT_FROM_EMAIL=(str, ""),
    MOONWALK_DATA_DIR=(str, ""),
    MOONWALK_EXPORTS_DIR=(str, ""),
    MOONWALK_WAREHOUSE_KEY=(str, ""),
    MOONWALK_BUSINESS_FILE=(str, ""),
    MOONWALK_HTTPS=(bool, False),
    MOONWALK_API_RATE=(str, "120/m"),
    MOONWALK_HASHED_STATIC=(bool, False),
    MOONWALK_SHARE_ORIGINS=(list, []),
    MOONWALK_UPLOAD_MB=(int, 100),
    MOONWALK_SITE_URL=(str, ""),
    MOONWALK_SLACK_WEBHOOK=(str, ""),
    MOONWALK_NOTION_TOKEN=(str, ""),
    MOONWALK_NOTION_PAGE=(str, ""),
    MOONWALK_NOTION_URL=(str, "https://api.notion.com"),
    MOONWALK_BACKUP_KEY=(str, ""),
)
# A .env file beside manage.py; MOONWALK_ENV_FILE names another one, or none when it is empty.
ENV_FILE = os.environ.get("MOONWALK_ENV_FILE", str(BASE_DIR / ".env"))
if ENV_FILE and Path(ENV_FILE).is_file():
    env.read_env(ENV_FILE)


def _path(value: str, default: Path) -> Path:
    """A path of the environment; a relative one is meant from the project's folder, wherever a command is started."""
    return (BASE_DIR / Path(value).expanduser()).resolve() if value else default


def _kept_secret_key(data_dir: Path) -> str:
    """The key that was made once for this data folder, readable by its owner alone; made now when there is none.

    A folder that can't be written gives a key for this process alone: the system check says how to mend that.
    """
    file = data_dir / "secret_key"
    try:
        if not file.exists():
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Written whole under another name first: two processes that start together end with the same key.
            own = data_dir / f".secret_key.{os.getpid()}"
            with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(secrets.token_urlsafe(64))
            try:
                os.link(own, file)
            except FileExistsError:
                pass
            finally:
                own.unlink()
        return file.read_text().strip()
    except OSError:
        return secrets.token_urlsafe(64)


def _business_clock(file: Path) -> tuple[str, str]:
    """Time zone and hour of the daily refresh; a business file that can't be read is the system checks' to report."""
    try:
        business = load_business(file)
    except BusinessError:
        return "Asia/Dubai", "06:00"
    return business.timezone, business.refresh_at


# --- This installation ---------------------------------------------------------------------------------------------
VERSION = __version__
DEBUG = env("DEBUG")
DATA_DIR = _path(env("MOONWALK_DATA_DIR"), BASE_DIR / "var")
EXPORTS_DIR = _path(env("MOONWALK_EXPORTS_DIR"), DATA_DIR / "exports")
WAREHOUSE_DIR = DATA_DIR / "warehouse"
WAREHOUSE_KEY = env("MOONWALK_WAREHOUSE_KEY")
BUSINESS_FILE = _path(env("MOONWALK_BUSINESS_FILE"), BASE_DIR / "etl" / "business.toml")
SECRET_KEY = env("SECRET_KEY") or _kept_secret_key(DATA_DIR)
SECRET_KEY_IS_KEPT = bool(env("SECRET_KEY")) or (DATA_DIR / "secret_key").is_file()
ALLOWED_HOSTS = env("ALLOWED_HOSTS")
CSRF_TRUSTED_ORIGINS = env("CSRF_TRUSTED_ORIGINS")
CSRF_FAILURE_VIEW = "moonwalk.urls.form_out_of_date"
HTTPS = env("MOONWALK_HTTPS")
SHARE_ORIGINS = env("MOONWALK_SHARE_ORIGINS")
API_RATE = env("MOONWALK_API_RATE")
UPLOAD_BYTES = env("MOONWALK_UPLOAD_MB") * 2**20
SITE_URL = env("MOONWALK_SITE_URL").rstrip("/") or "http://127.0.0.1:8000"  # what links in messages begin with
SLACK_WEBHOOK = env("MOONWALK_SLACK_WEBHOOK")
NOTION_TOKEN = env("MOONWALK_NOTION_TOKEN")
NOTION_PAGE = env("MOONWALK_NOTION_PAGE")
NOTION_URL = env("MOONWALK_NOTION_URL").rstrip("/")
BACKUP_KEY = env("MOONWALK_BACKUP_KEY")

# --- Apps and middleware -------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # before the admin: its templates win
    "unfold.contrib.filters",
    "moonwalk.admin.AdminConfig",  # django.contrib.admin, open to roles
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "moonwalk.static.StaticConfig",  # django.contrib.staticfiles, which collects less
    "django.contrib.humanize",
    "axes",  # counts wrong passwords
    "django_plotly_dash",
    "ninja",  # the page that shows what the API can do
    "auditlog",  # who changed what, when, from where
    "django_celery_beat",  # the schedules
    "analytics",
    "operations",
]
MIDDLEWARE = [
    "moonwalk.health.Middleware",  # probes know neither our name nor HTTPS
    "moonwalk.logs.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "moonwalk.csp.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "operations.audit.Middleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_plotly_dash.middleware.BaseMiddleware",  # innermost: it changes the page's length
]
ROOT_URLCONF = "moonwalk.urls"
WSGI_APPLICATION = "moonwalk.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- Database, cache, sessions -------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL: readers and the one writer don't block each other. IMMEDIATE: a transaction that will write waits for its
    # turn at its start, instead of failing half way with "database is locked".
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env("REDIS_URL")
if REDIS_URL:
    CACHES = redis_caches(REDIS_URL)
else:
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

# A session is a row, so that signing out ends it wherever its cookie was copied to. Not the cached backend: without
# Redis each process has a cache of its own, and another one would go on believing in the session.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 7 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"

# --- Who may come in -----------------------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# Ten wrong passwords for one name from one address: then that pair waits, the right password too. Counted in the
# database, as processes share no cache without Redis. Behind a proxy all have its address: a name then waits alone.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# --- Security headers ----------------------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
if HTTPS:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = False
# What else lives under the business's domain, and whether browsers are to know it before the first visit, is for
# whoever owns the domain to say, at its proxy.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

# The one inline script of a dashboard page, always the same text: `var renderer = new DashRenderer();`
DASH_INLINE_SCRIPT = "'sha256-jZlsGVOhUAIcH+4PVs7QuGZkthRMgvT2n0ilH6/zTM0='"
SECURE_CSP = {
    "default-src": ["'self'"],
    "script-src": ["'self'", DASH_INLINE_SCRIPT],
    "style-src": ["'self'", "'unsafe-inline'"],  # dash and plotly set styles from scripts
    "img-src": ["'self'", "data:", "blob:"],  # plotly saves a chart as a picture through a blob
    "object-src": ["'none'"],
    "base-uri": ["'self'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
# The admin's theme evaluates expressions in its pages: without 'unsafe-eval' its login page swallows every click.
SECURE_CSP_ADMIN = SECURE_CSP | {"script-src": ["'self'", "'unsafe-eval'"]}

UNFOLD = {
    "SITE_TITLE": "Moonwalk",
    "SITE_HEADER": "Moonwalk",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("icon.svg")}],
    # The pages' brand blue in the admin's steps, light to dark, so that both halves are one house.
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .012 248)",
            "100": "oklch(94.5% .027 248)",
            "200": "oklch(89.5% .052 248)",
            "300": "oklch(81.5% .088 248)",
            "400": "oklch(70.5% .115 248)",
            "500": "oklch(58.5% .118 249)",
            "600": "oklch(47.5% .107 250)",
            "700": "oklch(40.5% .100 250)",
            "800": "oklch(35.5% .083 250)",
            "900": "oklch(31.5% .066 250)",
            "950": "oklch(24.5% .050 250)",
        },
    },
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda request: static("operations/admin.css")],
    "SIDEBAR": {"navigation": "operations.site.navigation"},
    "DASHBOARD_CALLBACK": "operations.site.front",
}

# --- Dashboards and static files -----------------------------------------------------------------------------------
PLOTLY_COMPONENTS = ["dpd_components"]
# django-plotly-dash takes no notice of a wrong path here and makes every dashboard public: no process starts with
# one (analytics/apps.py).
PLOTLY_DASH = {"serve_locally": True, "view_decorator": "analytics.access.dash_view"}

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "django_plotly_dash.finders.DashAssetFinder",
    "django_plotly_dash.finders.DashComponentFinder",
    "django_plotly_dash.finders.DashAppDirectoryFinder",
]
# Hashed and compressed files need `manage.py collectstatic` first; without, WhiteNoise serves them where they lie.
HASHED_STATIC = env("MOONWALK_HASHED_STATIC")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "moonwalk.static.HashedStorage"
        if HASHED_STATIC
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not HASHED_STATIC
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

DATA_UPLOAD_MAX_NUMBER_FIELDS = 2500  # an action may name a thousand customers, and a thousand orders of theirs

# --- E-mail: without EMAIL_URL through a mail server on this machine; where there is none, whoever sends is told so --
EMAIL_URL = env("EMAIL_URL")
globals().update(env.email_url("EMAIL_URL") if EMAIL_URL else {})
EMAIL_TIMEOUT = 15  # seconds: somebody waits for the page
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL") or "moonwalk@localhost"

# --- Time and language ---------------------------------------------------------------------------------------------
TIME_ZONE, REFRESH_AT = _business_clock(BUSINESS_FILE)
USE_TZ = True
LANGUAGE_CODE = "en-gb"
USE_I18N = True

# --- Celery: without REDIS_URL nothing connects anywhere, and a queued task runs in the process that queues it ------
# A task is a hint to look at a row: it is acknowledged as it begins, and one that is lost is asked for again by the
# clock's next tick. (Acknowledged late, it would come back an hour after its worker died.)
CELERY_APP = "moonwalk.celery.app"
CELERY_BROKER_URL = REDIS_URL or "memory://"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # for as long as Redis is away
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_keepalive": True, "health_check_interval": 25}
CELERY_TASK_ALWAYS_EAGER = not REDIS_URL
CELERY_TASK_IGNORE_RESULT = True  # what a task did is in the database
CELERY_RESULT_EXPIRES = None  # and so there is nothing to clean up
CELERY_TASK_TIME_LIMIT = 3600
CELERY_TASK_SOFT_TIME_LIMIT = 3500
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SYNC_EVERY = 1  # what was sent is known to a clock that is started again
# Two: of refreshes one runs at a time (the others end at once), so that ticks and messages always have a process.
CELERY_WORKER_CONCURRENCY = 2
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # what waits, waits in Redis and not in a worker that may die
CELERY_WORKER_MAX_TASKS_PER_CHILD = 1000
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

# --- Log: what happened, never whom it concerns (no names, phones or e-mails) ---------------------------------------
LOG_FORMAT = env("LOG_FORMAT") or "plain"
if LOG_FORMAT not in logs.FORMATS:
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}: write one of {', '.join(logs.FORMATS)}.")
LOGGING = logs.config(LOG_FORMAT, env("LOG_LEVEL"))

# --- Errors to Sentry ----------------------------------------------------------------------------------------------
SENTRY_DSN = env("SENTRY_DSN")
if SENTRY_DSN:
    from moonwalk import sentry

    sentry.start(SENTRY_DSN)
