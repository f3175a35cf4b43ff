from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0006_by_itself")]

    operations = [
        migrations.AddField(
            "refreshrun",
            "moved_orders",
            models.JSONField(blank=True, default=list, verbose_name="orders that moved"),
        ),
    ]
