"""Models that use what Django has for PostgreSQL."""

import uuid

from django.conf import settings
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import ArrayField, DateTimeRangeField, HStoreField, RangeOperators
from django.contrib.postgres.indexes import BrinIndex, GinIndex, GistIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now


class Specialty(models.Model):
    code = models.SlugField(unique=True)
    name = models.CharField(max_length=80, db_comment="What the door sign says")

    class Meta:
        db_table_comment = "Fields of medicine"
        verbose_name_plural = "specialties"


class Doctor(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, related_name="doctor")
    specialties = models.ManyToManyField(Specialty, through="Qualification")
    languages = ArrayField(models.CharField(max_length=5), default=list, size=8)
    settings = models.JSONField(default=dict, blank=True)


class Qualification(models.Model):
    doctor = models.ForeignKey(Doctor, models.CASCADE)
    specialty = models.ForeignKey(Specialty, models.RESTRICT)
    since = models.DateField()

    class Meta:
        unique_together = [("doctor", "specialty")]


class Patient(models.Model):
    record_number = models.PositiveIntegerField(unique=True)
    first_name = models.CharField(max_length=60)
    last_name = models.CharField(max_length=60)
    full_name = models.GeneratedField(
        expression=models.functions.Concat(F("first_name"), models.Value(" "), F("last_name")),
        output_field=models.CharField(max_length=121),
        db_persist=True,
    )
    email = models.EmailField(blank=True)
    sex = models.CharField(max_length=12)
    born = models.DateField(null=True)
    extra = HStoreField(default=dict)
    search = SearchVectorField(null=True)
    tags = models.ManyToManyField("Label", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [
            GinIndex(fields=["extra"]),
            GinIndex(fields=["search"], name="patient_search_gin", fastupdate=False),
            BrinIndex(fields=["created_at"], pages_per_range=64),
            models.Index(Lower("last_name").desc(), F("born").asc(nulls_last=True), name="patient_name_born_idx"),
            models.Index(fields=["record_number"], include=["first_name"], name="patient_number_idx"),
        ]
        constraints = [
            models.UniqueConstraint(Lower("email"), condition=~Q(email=""), name="patient_email_once"),
            models.UniqueConstraint(
                fields=["last_name", "born"], name="patient_twins", deferrable=models.Deferrable.DEFERRED
            ),
        ]


class Label(models.Model):
    label = models.CharField(max_length=30, unique=True)


class Room(models.Model):
    name = models.CharField(max_length=40)
    floor = models.SmallIntegerField(default=0)

    class Meta:
        db_table = "clinic_room"
        unique_together = [("floor", "name")]


class Appointment(models.Model):
    doctor = models.ForeignKey(Doctor, models.CASCADE)
    patient = models.ForeignKey(Patient, models.CASCADE)
    during = DateTimeRangeField()
    cancelled = models.BooleanField(default=False)
    fee = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    length = models.DurationField(null=True)
    paper = models.BinaryField(null=True)
    came_from = models.GenericIPAddressField(null=True)
    room = models.ForeignKey("Room", models.SET_NULL, null=True)
    reason = models.CharField(max_length=200, default="it's routine")

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="appointment_one_at_a_time",
                expressions=[("during", RangeOperators.OVERLAPS), ("doctor", RangeOperators.EQUAL)],
                condition=Q(cancelled=False),
            ),
            models.CheckConstraint(
                condition=Q(fee__isnull=True) | Q(fee__gte=0), name="%(app_label)s_%(class)s_fee_not_negative"
            ),
        ]
        indexes = [
            GistIndex(fields=["during"], name="appointment_during_gist"),
            models.Index(fields=["room", "cancelled"], name="appointment_room_idx"),
        ]
        permissions = [("move", "Can move appointments")]
