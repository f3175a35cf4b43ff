from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OperationsConfig(AppConfig):
    name = "operations"
    verbose_name = "Customers and orders"

    def ready(self) -> None:
        from operations import checks, roles  # noqa: F401  (checks register themselves)

        post_migrate.connect(roles.make_groups, sender=self)
        post_migrate.connect(roles.make_lock, sender=self)
