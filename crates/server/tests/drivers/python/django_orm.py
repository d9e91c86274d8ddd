"""Django's ORM over psycopg, with connections that persist and cursors of the server."""

import os
from concurrent.futures import ThreadPoolExecutor

import django
from django.apps import AppConfig
from django.conf import settings

CLIENTS = 16


class Shop(AppConfig):
    name, label, path = "__main__", "shop", os.path.dirname(__file__)


settings.configure(
    INSTALLED_APPS=["__main__.Shop"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ["PGDATABASE"],
            "USER": os.environ["PGUSER"],
            "PASSWORD": os.environ["PGPASSWORD"],
            "HOST": os.environ["PGHOST"],
            "PORT": os.environ["PGPORT"],
            "CONN_MAX_AGE": None,
        }
    },
    USE_TZ=True,
    TIME_ZONE="America/Sao_Paulo",
)
django.setup()

from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Count, F, Q, Sum  # noqa: E402


class Client(models.Model):
    id = models.BigAutoField(primary_key=True)
    name = models.TextField()
    email = models.TextField(null=True)
    notes = models.TextField(default="")

    class Meta:
        app_label, db_table, managed = "shop", "clients", False


class Animal(models.Model):
    id = models.BigAutoField(primary_key=True)
    client = models.ForeignKey(Client, models.CASCADE, related_name="animals")
    species_id = models.SmallIntegerField()
    name = models.TextField()
    weight_kg = models.DecimalField(max_digits=6, decimal_places=2, null=True)

    class Meta:
        app_label, db_table, managed = "shop", "animals", False


class Service(models.Model):
    id = models.BigAutoField(primary_key=True)
    code = models.TextField(unique=True)
    name = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    duration_minutes = models.IntegerField(default=30)
    active = models.BooleanField(default=True)

    class Meta:
        app_label, db_table, managed = "shop", "services", False


def main():
    rows()
    queries()
    transactions()
    cursors()
    inspection()
    crowd()


def rows():
    made = Service.objects.create(code="dj_a", name="A", price="10.50")
    Service.objects.bulk_create([Service(code=f"dj_{nth}", name="Bulk", price=nth) for nth in range(50)])
    Service.objects.bulk_create(
        [Service(code="dj_1", name="Again", price=7), Service(code="dj_x", name="New", price=8)],
        update_conflicts=True, unique_fields=["code"], update_fields=["name", "price"],
    )
    ignored = Service.objects.bulk_create([Service(code="dj_a", name="Ignored", price=0)], ignore_conflicts=True)
    made.price = F("price") * 2
    made.save()
    made.refresh_from_db()
    fetched, created = Service.objects.update_or_create(code="dj_x", defaults={"name": "Updated"})
    print("rows:", made.price, len(ignored), fetched.name, created, Service.objects.get(code="dj_1").name)
    print("gone:", Service.objects.filter(code__startswith="dj_").delete()[0])


def queries():
    person = Client.objects.create(name="Bia", email="bia@example.com")
    for name in ("Mimi", "Tom", "Rex"):
        person.animals.create(name=name, species_id=1 if name == "Rex" else 2, weight_kg="4.20")
    people = Client.objects.annotate(pets=Count("animals"), kilos=Sum("animals__weight_kg")).filter(pets__gt=0).order_by("name")
    print("annotated:", [(it.name, it.pets, it.kilos) for it in people])
    print("joined:", list(Animal.objects.filter(Q(client__name="Bia") & ~Q(species_id=1)).values_list("name", "client__email").order_by("name")))
    print("prefetched:", [[pet.name for pet in it.animals.all()] for it in Client.objects.prefetch_related("animals").order_by("name")])
    print("dates:", Client.objects.filter(name="Bia").extra(select={"old": "created_at < now() - interval '1 day'"}).values_list("old"))
    person.notes = "não " * (2 << 20)
    person.save(update_fields=["notes"])
    print("large:", len(Client.objects.get(pk=person.pk).notes))
    print("deleted:", sorted(person.delete()[1].items()))


def transactions():
    try:
        with transaction.atomic():
            Service.objects.create(code="dj_t", name="T", price=1)
            try:
                with transaction.atomic():
                    Service.objects.create(code="bath", name="Twice", price=1)
            except IntegrityError as error:
                print("twice:", error.__cause__.sqlstate)
            print("goes on:", Service.objects.filter(code="dj_t").exists())
            locked = list(Service.objects.select_for_update().filter(code="bath").values_list("name", flat=True))
            print("locked:", locked)
            raise KeyError
    except KeyError:
        print("rolled back:", Service.objects.filter(code="dj_t").exists())


def cursors():
    print("iterated:", sum(1 for _ in Service.objects.order_by("id").iterator(chunk_size=2)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM species WHERE id = %s", [1])
        print("raw:", cursor.fetchall())


def inspection():
    with connection.cursor() as cursor:
        names = connection.introspection.table_names(cursor)
        columns = [it.name for it in connection.introspection.get_table_description(cursor, "animals")]
        constraints = connection.introspection.get_constraints(cursor, "services")
    print("tables:", {"animals", "clients", "services"} <= set(names), [it for it in columns if it != "tenant_id"])
    print("keys:", sorted(name for name, it in constraints.items() if it["unique"]))


def crowd():
    def work(nth):
        with transaction.atomic():
            return Service.objects.filter(price__gt=nth).count(), Animal.objects.filter(species_id=nth % 3).count()

    with ThreadPoolExecutor(CLIENTS) as threads:
        print("crowd:", list(threads.map(work, range(CLIENTS * 4))))
        list(threads.map(lambda _: connection.close(), range(CLIENTS * 2)))


main()
