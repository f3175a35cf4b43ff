"""The rows of the database in a backup: read in one moment, whatever the database, and loaded into any other.

A part is lines of JSON: first the model and its columns, then a list of values a row. Rows are loaded into the tables
as they were when the backup was made; if the program has become newer since, its migrations follow on the rows.
"""

import datetime as dt
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

from django.apps import apps
from django.core.management.color import no_style
from django.core.management.sql import emit_post_migrate_signal
from django.db import DatabaseError, connection, models, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import sql

from etl.errors import MoonwalkError

PART_NAME = re.compile(r"database/\w+\.\w+/\d{6}\.jsonl")
LEFT_OUT = {"sessions.session", "operations.refreshlock"}  # who is signed in; who refreshes: both of the moment


class RowsError(MoonwalkError):
    """The database can't be read, or not be written; the sentence says why."""


# --- Migrations ----------------------------------------------------------------------------------------------------


def applied() -> dict[str, list[str]]:
    """App -> the last migrations that were applied."""
    graph = MigrationExecutor(connection).loader.graph
    found: dict[str, list[str]] = {}
    for app, name in graph.leaf_nodes():
        found.setdefault(app, []).append(name)
    return found


def unknown(migrations: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Those that this version of the program doesn't have."""
    known = MigrationExecutor(connection).loader.graph.nodes
    return [(app, name) for app, names in migrations.items() for name in names if (app, name) not in known]


def require_migrated() -> None:
    """Raises RowsError unless the tables are those of this version of the program."""
    try:
        executor = MigrationExecutor(connection)
        waits = bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    except DatabaseError as error:
        raise RowsError(f"The database can't be used ({type(error).__name__}).") from error
    if waits:
        raise RowsError("The database waits for `manage.py migrate`: run it first.")


# --- What is there -------------------------------------------------------------------------------------------------


def living() -> list[str]:
    """What the database holds already: ["3 users", ...]; [] for an empty one."""
    try:
        there = set(connection.introspection.table_names())
        found = []
        for label, word in (("auth.User", "users"), ("operations.RefreshRun", "refreshes")):
            model = apps.get_model(label)
            if model._meta.db_table in there and (count := model._base_manager.count()):
                found.append(f"{count} {word if count > 1 else word.removesuffix('es').removesuffix('s')}")
        return found
    except DatabaseError as error:
        raise RowsError(f"The database can't be used ({type(error).__name__}).") from error


def require_nobody_refreshes() -> None:
    """Raises RefreshBusy while a living process refreshes."""
    from operations.lock import RefreshBusy, purpose_of, running
    from operations.models import RefreshLock

    if RefreshLock._meta.db_table in connection.introspection.table_names() and (held := running()):
        raise RefreshBusy(held.run, purpose_of(held))


def _models(registry) -> list[type[models.Model]]:
    """Every table of the apps that a backup has, those between two models included."""
    every = registry.get_models(include_auto_created=True)
    return [m for m in every if m._meta.managed and not m._meta.proxy and m._meta.label_lower not in LEFT_OUT]


# --- Reading -------------------------------------------------------------------------------------------------------


@contextmanager
def _one_moment() -> Iterator[None]:
    """All that is read inside is of one moment; nobody waits for it."""
    if connection.vendor == "sqlite":
        # Not atomic(): that would take the writers' turn (transaction_mode IMMEDIATE).
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


def read(part: int) -> Iterator[tuple[str, bytes, int, int]]:
    """Each part's name and content, at most about `part` bytes; the rows so far, and all rows."""
    with _one_moment():
        tables = [(model, model._base_manager.count()) for model in _models(apps)]
        whole, done = sum(count for _, count in tables), 0
        for model, _ in tables:
            fields = [f.attname for f in model._meta.concrete_fields if not f.generated]
            head = json.dumps({"model": model._meta.label_lower, "fields": fields}) + "\n"
            lines, number = [head], 1
            size = len(head)
            for values in model._base_manager.order_by("pk").values_list(*fields).iterator(chunk_size=2000):
                line = json.dumps(values, default=_as_text, ensure_ascii=False, separators=(",", ":")) + "\n"
                lines.append(line)
                size, done = size + len(line), done + 1
                if size > part:
                    yield _part(model, number, lines), _joined(lines), done, whole
                    lines, size, number = [head], len(head), number + 1
            yield _part(model, number, lines), _joined(lines), done, whole


def _part(model: type[models.Model], number: int, lines: list[str]) -> str:
    return f"database/{model._meta.label_lower}/{number:06}.jsonl"


def _joined(lines: list[str]) -> bytes:
    return "".join(lines).encode()


def _as_text(value) -> str:
    """What JSON has no form for, as the field it came from reads it again."""
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()  # to the microsecond
    if isinstance(value, Decimal | uuid.UUID | dt.tzinfo):
        return str(value)
    raise TypeError(f"a backup can't hold a {type(value).__name__}")


# --- Writing -------------------------------------------------------------------------------------------------------


@contextmanager
def replaced(folder: Path, migrations: dict[str, list[str]], whole: int, tell: Callable[[float], None]):
    """The database as the parts in `folder` have it, instead of what it holds now: for everybody else only when the
    block inside ends well, else not at all. whole: how many rows there are. Raises RowsError."""
    prepared = _beside if connection.vendor == "sqlite" else _within
    with prepared() as loading:
        targets = [(app, name) for app, names in migrations.items() for name in names]
        MigrationExecutor(connection).migrate(targets)
        registry = MigrationExecutor(connection).loader.project_state(targets).apps
        with loading():
            _load(folder, registry, whole, tell)
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
        # Rights, roles and rules that a newer version brings; what was made once before stays as people left it.
        emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
        yield


@contextmanager
def _beside() -> Iterator[Callable]:
    """SQLite: a new file beside the database's, which takes its place in one step."""
    kept = connection.settings_dict["NAME"]
    own = Path(kept)
    beside = own.with_name(f".{own.name}.restored")
    own.parent.mkdir(parents=True, exist_ok=True)
    _remove(beside)
    connection.close()
    connection.settings_dict["NAME"] = str(beside)
    try:
        yield transaction.atomic
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        _remove(own.with_name(own.name + "-wal"), own.with_name(own.name + "-shm"))
        os.replace(beside, own)  # noqa: PTH105 (the one step)
    finally:
        connection.close()
        connection.settings_dict["NAME"] = kept
        _remove(beside, beside.with_name(beside.name + "-wal"), beside.with_name(beside.name + "-shm"))


def _remove(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)


@contextmanager
def _within() -> Iterator[Callable]:
    """PostgreSQL: one transaction, in which the tables are made anew."""
    with transaction.atomic():
        ours = {m._meta.db_table for m in apps.get_models(include_auto_created=True)} | {"django_migrations"}
        there = [connection.ops.quote_name(name) for name in connection.introspection.table_names() if name in ours]
        with connection.cursor() as cursor:
            if there:
                cursor.execute(f"DROP TABLE {', '.join(there)} CASCADE")

            @contextmanager
            def loading():
                yield
                # What waits for the commit is looked at now: tables may be altered only after it.
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")

            yield loading


def _load(folder: Path, registry, whole: int, tell: Callable[[float], None]) -> None:
    found = {model._meta.label_lower: model for model in _models(registry)}
    for model in found.values():  # what the migrations themselves put there
        sql.DeleteQuery(model).get_compiler("default").execute_sql(None)
    done = 0
    for part in sorted(folder.glob("*/*.jsonl")):
        with part.open(encoding="utf-8") as lines:
            head = json.loads(next(lines))
            model = found[head["model"]]
            fields = [model._meta.get_field(name) for name in head["fields"]]
            batch: list[models.Model] = []
            for line in lines:
                batch.append(_row(model, fields, json.loads(line)))
                if len(batch) == 1000:
                    done += _insert(model, fields, batch)
                    tell(done / max(1, whole))
                    batch = []
            done += _insert(model, fields, batch)
            tell(done / max(1, whole))
    if done != whole:
        raise RowsError(f"{whole:,} rows were saved and {done:,} came back: take another backup. Nothing was changed.")
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(found.values())):
            cursor.execute(statement)


def _row(model: type[models.Model], fields: list[models.Field], values: list) -> models.Model:
    plain = {f.attname: None if v is None else _field(f).to_python(v) for f, v in zip(fields, values, strict=True)}
    return model(**plain)


def _field(field: models.Field) -> models.Field:
    return field.target_field if field.is_relation else field


def _insert(model: type[models.Model], fields: list[models.Field], batch: list[models.Model]) -> int:
    """As they are: not what a field would write by itself into a new row (auto_now_add)."""
    step = max(1, connection.ops.bulk_batch_size(fields, batch)) if batch else 1
    for start in range(0, len(batch), step):
        query = sql.InsertQuery(model)
        query.insert_values(fields, batch[start : start + step], raw=True)
        query.get_compiler("default").execute_sql()
    return len(batch)
