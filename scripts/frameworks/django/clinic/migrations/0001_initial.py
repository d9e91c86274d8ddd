
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.hstore
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.db.models.constraints
import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
import uuid
from django.conf import settings
from django.contrib.postgres.operations import BtreeGistExtension, HStoreExtension
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        BtreeGistExtension(),
        HStoreExtension(),
        migrations.CreateModel(
            name='Specialty',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.SlugField(unique=True)),
                ('name', models.CharField(db_comment='What the door sign says', max_length=80)),
            ],
            options={
                'verbose_name_plural': 'specialties',
                'db_table_comment': 'Fields of medicine',
            },
        ),
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('label', models.CharField(max_length=30, unique=True)),
            ],
        ),
        migrations.CreateModel(
            name='Doctor',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('languages', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=5), default=list, size=8)),
                ('settings', models.JSONField(blank=True, default=dict)),
                ('mentor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, to='clinic.doctor')),
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='doctor', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Qualification',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateField()),
                ('doctor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='clinic.doctor')),
                ('specialty', models.ForeignKey(on_delete=django.db.models.deletion.RESTRICT, to='clinic.specialty')),
            ],
            options={
                'unique_together': {('doctor', 'specialty')},
            },
        ),
        migrations.AddField(
            model_name='doctor',
            name='specialties',
            field=models.ManyToManyField(through='clinic.Qualification', to='clinic.specialty'),
        ),
        migrations.CreateModel(
            name='Patient',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('record_number', models.PositiveIntegerField(unique=True)),
                ('first_name', models.CharField(max_length=60)),
                ('last_name', models.CharField(max_length=60)),
                ('full_name', models.GeneratedField(db_persist=True, expression=django.db.models.functions.text.Concat(models.F('first_name'), models.Value(' '), models.F('last_name')), output_field=models.CharField(max_length=121))),
                ('email', models.EmailField(blank=True, max_length=254)),
                ('sex', models.CharField(choices=[('f', 'Female'), ('m', 'Male'), ('o', 'Other')], max_length=1)),
                ('born', models.DateField(null=True)),
                ('extra', django.contrib.postgres.fields.hstore.HStoreField(default=dict)),
                ('search', django.contrib.postgres.search.SearchVectorField(null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('modified_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('tags', models.ManyToManyField(blank=True, to='clinic.tag')),
            ],
        ),
        migrations.CreateModel(
            name='Appointment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('during', django.contrib.postgres.fields.ranges.DateTimeRangeField()),
                ('cancelled', models.BooleanField(default=False)),
                ('fee', models.DecimalField(decimal_places=2, max_digits=10, null=True)),
                ('length', models.DurationField(null=True)),
                ('paper', models.BinaryField(null=True)),
                ('came_from', models.GenericIPAddressField(null=True)),
                ('doctor', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='clinic.doctor')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='clinic.patient')),
            ],
            options={
                'permissions': [('move', 'Can move appointments')],
                'indexes': [django.contrib.postgres.indexes.GistIndex(fields=['during'], name='appointment_during_gist')],
                'constraints': [django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('cancelled', False)), expressions=[('during', '&&'), ('doctor', '=')], name='appointment_one_at_a_time'), models.CheckConstraint(condition=models.Q(('fee__isnull', True), ('fee__gte', 0), _connector='OR'), name='clinic_appointment_fee_not_negative')],
            },
        ),
        migrations.AddIndex(
            model_name='patient',
            index=django.contrib.postgres.indexes.GinIndex(fields=['extra'], name='clinic_pati_extra_894554_gin'),
        ),
        migrations.AddIndex(
            model_name='patient',
            index=django.contrib.postgres.indexes.GinIndex(fastupdate=False, fields=['search'], name='patient_search_gin'),
        ),
        migrations.AddIndex(
            model_name='patient',
            index=django.contrib.postgres.indexes.BrinIndex(fields=['created_at'], name='clinic_pati_created_a74bb2_brin', pages_per_range=64),
        ),
        migrations.AddIndex(
            model_name='patient',
            index=models.Index(models.OrderBy(django.db.models.functions.text.Lower('last_name'), descending=True), models.OrderBy(models.F('born'), nulls_last=True), name='patient_name_born_idx'),
        ),
        migrations.AddIndex(
            model_name='patient',
            index=models.Index(fields=['record_number'], include=('first_name',), name='patient_number_covering'),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('email'), condition=models.Q(('email', ''), _negated=True), name='patient_email_once'),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.CheckConstraint(condition=models.Q(('sex__in', ['f', 'm', 'o'])), name='patient_sex_known'),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.UniqueConstraint(deferrable=django.db.models.constraints.Deferrable['DEFERRED'], fields=('last_name', 'born'), name='patient_twins'),
        ),
    ]
