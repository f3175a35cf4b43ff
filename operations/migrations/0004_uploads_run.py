from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("operations", "0003_payments_run")]

    operations = [
        migrations.AlterField(
            model_name="refreshrun",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("command", "command line"),
                    ("button", "button"),
                    ("upload", "uploaded files"),
                    ("schedule", "every morning"),
                    ("rollback", "return to an earlier build"),
                    ("payments", "payments recorded here"),
                ],
                max_length=20,
                verbose_name="started by",
            ),
        ),
    ]
