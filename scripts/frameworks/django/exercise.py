"""Works with the tables as an application would, and prints what it sees: the same wherever the tables live."""

import io
import os
import sys
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import django
from django.db import DatabaseError, IntegrityError, connection, transaction

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
sys.path.insert(0, str(Path(__file__).parent))
django.setup()

from clinic.models import Appointment, Doctor, Label, Patient, Qualification, Room, Specialty  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.contrib.sites.models import Site  # noqa: E402
from django.db.models import Avg, Count, F, OuterRef, Q, Subquery, Sum, Window  # noqa: E402
from django.db.models.functions import RowNumber, TruncMonth  # noqa: E402

NOON = datetime(2026, 3, 2, 12, tzinfo=timezone.utc)


def users():
    ana = User.objects.create_user("ana", "ana@example.com", is_staff=True)
    rui, made = User.objects.get_or_create(username="rui", defaults={"email": "rui@example.com"})
    yield "made", ana.pk, rui.pk, made
    yield "again", User.objects.get_or_create(username="rui")[1]
    yield "changed", User.objects.update_or_create(username="rui", defaults={"first_name": "Rui"})[1]
    kind = ContentType.objects.get_for_model(Room)
    group = Group.objects.create(name="doctors")
    group.permissions.add(Permission.objects.create(content_type=kind, codename="clean", name="Can clean"))
    ana.groups.add(group)
    yield "permissions", sorted(User.objects.get(pk=ana.pk).get_group_permissions())
    yield "users by group", list(Group.objects.annotate(members=Count("user")).values_list("name", "members"))
    yield "site", Site.objects.create(domain="clinic.example.com", name="Clinic").pk
    try:
        with transaction.atomic():
            User.objects.create_user("ana")
    except IntegrityError as error:
        yield "twice", error.__cause__.diag.constraint_name


def patients():
    def patient(n, **more):
        return Patient(record_number=n, first_name=f"P{n}", last_name=f"L{n % 3}", sex="f", **more)

    Patient.objects.bulk_create(patient(n, email=f"p{n}@example.com", extra={"n": str(n)}) for n in range(1, 8))
    yield "computed", list(Patient.objects.order_by("record_number").values_list("pk", "full_name")[:2])
    again = [Patient(record_number=n, first_name="Q", last_name="L0", sex="m") for n in (1, 100)]
    Patient.objects.bulk_create(
        again, update_conflicts=True, unique_fields=["record_number"], update_fields=["first_name", "sex"]
    )
    Patient.objects.bulk_create([patient(2)], ignore_conflicts=True)
    yield "upserted", list(Patient.objects.order_by("record_number").values_list("record_number", "first_name", "sex"))
    yield "by name", list(Patient.objects.values_list("last_name").annotate(n=Count("pk")).order_by("last_name"))
    yield "hstore", Patient.objects.filter(extra__n="3").count(), Patient.objects.filter(extra__has_key="n").count()
    label = Label.objects.create(label="new")
    Patient.objects.get(record_number=1).tags.add(label)
    yield "labelled", list(Patient.objects.filter(tags__label="new").values_list("record_number", flat=True))
    yield "changed", Patient.objects.filter(record_number__lte=2).update(first_name=F("last_name"))
    try:
        with transaction.atomic():
            Patient.objects.create(record_number=50, first_name="a", last_name="b", sex="f", email="P3@EXAMPLE.com")
    except IntegrityError as error:
        yield "email taken", error.__cause__.diag.constraint_name
    try:
        with transaction.atomic():
            for number in (60, 61):
                twin = date(2000, 1, 1)
                Patient.objects.create(record_number=number, first_name="t", last_name="Twin", sex="f", born=twin)
            yield "deferred", Patient.objects.filter(last_name="Twin").count()
    except IntegrityError as error:
        yield "at the end", error.__cause__.diag.constraint_name


def appointments():
    doctor = Doctor.objects.create(user=User.objects.get(username="ana"), languages=["pt", "en"], settings={"a": [1]})
    general = Specialty.objects.get(code="general")
    Qualification.objects.create(doctor=doctor, specialty=general, since=date(2020, 1, 1))
    yield "languages", Doctor.objects.filter(languages__contains=["pt"], settings__a__0=1).count()
    room = Room.objects.create(name="One", floor=1)
    first, *others = Patient.objects.order_by("record_number")[:3]

    def at(hour):
        return (NOON + timedelta(hours=hour), NOON + timedelta(hours=hour + 1))

    for hour, patient in enumerate([first, *others]):
        Appointment.objects.create(doctor=doctor, patient=patient, during=at(hour), room=room, fee=10 * hour)
    try:
        with transaction.atomic():
            Appointment.objects.create(doctor=doctor, patient=first, during=at(0), fee=1)
    except IntegrityError as error:
        yield "busy", error.__cause__.diag.constraint_name
    Appointment.objects.create(doctor=doctor, patient=first, during=at(0), cancelled=True, fee=1)
    yield "overlap", Appointment.objects.filter(during__overlap=at(1)).count()
    yield "sums", Appointment.objects.aggregate(Sum("fee"), Avg("fee"), n=Count("pk", filter=Q(cancelled=False)))
    yield "patients", list(
        Patient.objects.annotate(n=Count("appointment"), paid=Sum("appointment__fee"))
        .filter(n__gt=0).order_by("record_number").values_list("full_name", "n", "paid")
    )
    newest = Appointment.objects.filter(patient=OuterRef("pk")).order_by("-pk").values("fee")[:1]
    by_patient = Patient.objects.annotate(fee=Subquery(newest)).order_by("pk")
    yield "newest", list(by_patient.values_list("fee", flat=True)[:3])
    numbered = Appointment.objects.annotate(nth=Window(RowNumber(), order_by=F("fee").desc()))
    yield "numbered", list(numbered.order_by("nth").values_list("nth", "fee"))
    yield "months", Appointment.objects.annotate(m=TruncMonth("during__startswith")).values("m").distinct().count()
    with transaction.atomic():
        locked = Appointment.objects.select_for_update(skip_locked=True).filter(cancelled=False)
        yield "locked", locked.count(), len(list(locked))
    room.delete()
    yield "without room", Appointment.objects.filter(room=None).count()
    yield "deleted", first.delete()[1]["clinic.Appointment"]
    try:
        with transaction.atomic():
            general.delete()
    except (IntegrityError, DatabaseError) as error:
        yield "kept", type(error).__name__


def raw():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM clinic_today")
        yield "view", cursor.fetchone()
        cursor.execute("SELECT * FROM clinic_label")
        yield "columns", [column.name for column in cursor.description if column.name != "tenant_id"]
        cursor.execute("SELECT setval(pg_get_serial_sequence('clinic_label', 'id'), 40)")
        yield "set", cursor.fetchone(), Label.objects.create(label="later").pk
        with connection.wrap_database_errors:
            cursor.copy_expert("COPY clinic_label (label) FROM STDIN", io.StringIO("copied\nlast\n"))
        yield "copied", list(Label.objects.order_by("pk").values_list("pk", "label"))
        cursor.execute("TRUNCATE clinic_patient_tags")
        yield "truncated", Patient.objects.filter(tags__label="new").count()
    yield "cursor", list(Label.objects.order_by("pk").values_list("label", flat=True).iterator(chunk_size=2))


for part in (users, patients, appointments, raw):
    for seen in part():
        print(part.__name__, *seen)
