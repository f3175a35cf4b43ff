"""Every follow-up is on a customer: those on an order alone get its customer."""

from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def customers_of_orders(apps, schema_editor) -> None:
    follow_up, order = apps.get_model("operations", "FollowUp"), apps.get_model("operations", "Order")
    whose = order.objects.filter(pk=OuterRef("order_id")).values("customer_id")
    follow_up.objects.filter(customer__isnull=True).update(customer_id=Subquery(whose))
    if schema_editor.connection.vendor == "postgresql":  # a table with checks still to come can't be altered
        schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        schema_editor.execute("SET CONSTRAINTS ALL DEFERRED")


class Migration(migrations.Migration):
    dependencies = [("operations", "0004_uploads_run")]

    operations = [
        migrations.RunPython(customers_of_orders, migrations.RunPython.noop),
        migrations.RemoveConstraint(model_name="followup", name="follow_up_has_a_subject"),
        migrations.AlterField(
            model_name="followup",
            name="customer",
            field=models.ForeignKey(
                blank=True,
                on_delete=models.deletion.PROTECT,
                related_name="follow_ups",
                to="operations.customer",
                verbose_name="customer",
            ),
        ),
    ]
