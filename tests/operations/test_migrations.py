"""Migrations that move data, on a database as the version before left it."""

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from operations import services
from operations.models import FollowUp
from tests.operations import books

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def before():
    """before("0004_uploads_run") takes operations' tables back there and gives the models of then."""

    def back(name: str):
        MigrationExecutor(connection).migrate([("operations", name)])
        return MigrationExecutor(connection).loader.project_state([("operations", name)]).apps

    yield back
    call_command("migrate", verbosity=0)


def test_a_follow_up_on_an_order_alone_gets_its_customer_and_can_be_undone(people, before):
    books.write()
    old = before("0004_uploads_run").get_model("operations", "FollowUp")
    alone = old.objects.create(order_id="H-00201", note="Rang", created_by_id=people["dana"].pk)
    both = old.objects.create(order_id="M-00102", customer_id="CC-0001", note="Wrote", created_at=timezone.now())
    call_command("migrate", verbosity=0)
    assert FollowUp.objects.get(pk=alone.pk).customer_id == "CC-0002"
    assert FollowUp.objects.get(pk=both.pk).customer_id == "CC-0001"
    assert services.followup_void(alone.pk, user=people["dana"]).voided_at
    assert not apps.get_model("operations", "FollowUp")._meta.get_field("customer").null
