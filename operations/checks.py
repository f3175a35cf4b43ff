"""System checks of an installation: each says what is wrong and how to mend it."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import Error, Tags, Warning, register
from django.db import DatabaseError

from etl.errors import MoonwalkError

ORIGIN = re.compile(r"https?://(\*\.)?[a-z0-9.-]+(:\d+)?")


@register()
def data_folder(app_configs, **kwargs):
    folder = settings.DATA_DIR
    # The nearest folder that exists decides: the rest is made when it is needed.
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return [
            Error(
                f"The data folder {folder} can't be written.",
                id="moonwalk.E001",
                hint=f"Give this account write permission on {existing}, or name another folder in MOONWALK_DATA_DIR.",
            )
        ]
    return []


@register()
def restore_came_to_its_end(app_configs, **kwargs):
    from operations.backup import CUT_OFF

    if not (settings.DATA_DIR / CUT_OFF).exists():
        return []
    return [
        Error(
            "A restore was cut off while files and database changed places: they may not belong together.",
            id="moonwalk.E007",
            hint="Restore again: `manage.py restore FILE --force`.",
        )
    ]


@register()
def exports_folder(app_configs, **kwargs):
    if not settings.EXPORTS_DIR.is_dir():
        return [
            Warning(
                f"There is no exports folder {settings.EXPORTS_DIR}: there is nothing to refresh from.",
                hint="Make it and put CleanCloud's exports there, name another one in MOONWALK_EXPORTS_DIR, "
                "or run `manage.py make_sample_exports` for invented ones.",
                id="moonwalk.W001",
            )
        ]
    return []


@register()
def business_file(app_configs, **kwargs):
    from etl.business import load_business

    try:
        load_business(settings.BUSINESS_FILE)
    except MoonwalkError as error:
        return [
            Error(
                str(error),
                hint="Start from a copy of etl/business.toml; MOONWALK_BUSINESS_FILE names the copy.",
                id="moonwalk.E002",
            )
        ]
    return []


@register()
def warehouse_key(app_configs, **kwargs):
    if not Path(settings.WAREHOUSE_DIR / "current").exists():
        return []
    from operations.refresh import warehouse

    try:
        warehouse().connect().close()
    except MoonwalkError as error:
        return [
            Error(
                str(error),
                id="moonwalk.E003",
                hint="Set MOONWALK_WAREHOUSE_KEY to the key the current build was made with (empty: none), or "
                "build anew from the exports: `manage.py refresh_data --force`.",
            )
        ]
    return []


@register(Tags.security)
def secret_key_is_secret(app_configs, **kwargs):
    """The length is checked always, not only with --deploy: share links are signed with this key alone."""
    if settings.DEBUG:
        return []
    if not settings.SECRET_KEY_IS_KEPT:
        return [
            Error(
                "SECRET_KEY is empty and can't be kept in the data folder: everybody is signed out at each "
                "start, and processes refuse each other's sessions.",
                id="moonwalk.E004",
                hint="Make the data folder writable, or set SECRET_KEY.",
            )
        ]
    if len(settings.SECRET_KEY) < 40 or len(set(settings.SECRET_KEY)) < 5 or "change" in settings.SECRET_KEY.lower():
        return [
            Error(
                "SECRET_KEY is weak: who guesses it opens every share link.",
                id="moonwalk.E005",
                hint="Leave it empty (one is made and kept in the data folder), or set 50 random characters: "
                "python -c 'import secrets; print(secrets.token_urlsafe(50))'",
            )
        ]
    return []


@register(Tags.security)
def share_origins_are_origins(app_configs, **kwargs):
    """They go into a header as they are: a stray word there would open or break it."""
    wrong = [origin for origin in settings.SHARE_ORIGINS if not ORIGIN.fullmatch(origin)]
    if wrong:
        return [
            Error(
                f"MOONWALK_SHARE_ORIGINS names no sites: {', '.join(wrong)}",
                id="moonwalk.E006",
                hint="Write each as scheme and host alone, without a path: https://www.notion.so",
            )
        ]
    return []


@register(Tags.database, deploy=True)
def redis_answers(app_configs, **kwargs):
    if not settings.REDIS_URL:
        return []
    import redis

    try:
        redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2).ping()
    except (redis.RedisError, ValueError, OSError) as error:
        return [
            Warning(
                f"Redis does not answer at REDIS_URL ({type(error).__name__}).",
                id="moonwalk.W002",
                hint="Start redis-server or mend REDIS_URL; with an empty REDIS_URL refreshes run in process.",
            )
        ]
    return []


@register(Tags.urls, deploy=True)
def links_in_messages_lead_here(app_configs, **kwargs):
    """Where something leaves the house that carries links: they must lead here from anywhere."""
    sending = settings.EMAIL_URL or settings.SLACK_WEBHOOK or settings.NOTION_TOKEN
    if not sending or urlsplit(settings.SITE_URL).hostname not in (None, "localhost", "127.0.0.1", "::1"):
        return []
    return [
        Warning(
            f"Links in messages lead to {settings.SITE_URL}, which is each reader's own machine.",
            id="moonwalk.W004",
            hint="Set MOONWALK_SITE_URL to how people reach this server, with scheme: https://figures.example.com",
        )
    ]


@register(Tags.security, deploy=True)
def somebody_is_told(app_configs, **kwargs):
    from operations import audience

    try:
        if audience.anybody():
            return []
    except DatabaseError:  # it isn't set up yet: `migrate` says so
        return []
    return [
        Warning(
            audience.NOBODY,
            id="moonwalk.W005",
            hint="Give somebody of Management, or a superuser, an e-mail address; or set MOONWALK_SLACK_WEBHOOK.",
        )
    ]


@register(Tags.staticfiles, deploy=True)
def static_files_are_hashed(app_configs, **kwargs):
    if settings.HASHED_STATIC:
        return []
    return [
        Warning(
            "Static files are served where they lie: browsers ask for each one again and again.",
            hint="Set MOONWALK_HASHED_STATIC=True and run `manage.py collectstatic` after each upgrade.",
            id="moonwalk.W003",
        )
    ]
