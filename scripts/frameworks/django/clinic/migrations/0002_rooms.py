"""The kinds of change that a project meets in its second year."""

import django.db.models.deletion
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    # AddIndexConcurrently asks for it.
    atomic = False

    dependencies = [("clinic", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="Room",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=40)),
                ("floor", models.SmallIntegerField(default=0)),
            ],
            options={"db_table": "Clinic Room"},
        ),
        migrations.AddField(
            model_name="appointment",
            name="room",
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to="clinic.room"),
        ),
        migrations.AddField(
            model_name="appointment",
            name="reason",
            field=models.CharField(max_length=200, default="it's routine"),
        ),
        migrations.AlterField("patient", "sex", models.CharField(max_length=12)),
        migrations.RemoveConstraint("patient", "patient_sex_known"),
        migrations.AlterField("appointment", "fee", models.DecimalField(max_digits=12, decimal_places=2, default=0)),
        migrations.RenameField("patient", "modified_at", "changed_at"),
        migrations.RenameModel("Tag", "Label"),
        migrations.AlterModelTable("room", "clinic_room"),
        migrations.AlterUniqueTogether("room", {("floor", "name")}),
        migrations.RenameIndex("patient", new_name="patient_number_idx", old_name="patient_number_covering"),
        migrations.RemoveField("doctor", "mentor"),
        AddIndexConcurrently("appointment", models.Index(fields=["room", "cancelled"], name="appointment_room_idx")),
        migrations.RunSQL(
            "CREATE VIEW clinic_today AS SELECT a.id, a.during, p.full_name FROM clinic_appointment a"
            " JOIN clinic_patient p ON p.id = a.patient_id WHERE a.during @> now() AND NOT a.cancelled",
            "DROP VIEW clinic_today",
        ),
        migrations.RunSQL(
            [("INSERT INTO clinic_specialty (code, name) VALUES (%s, %s)", ["general", "General practice"])],
            migrations.RunSQL.noop,
        ),
    ]
