from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("vms", "0001_tables")]
    operations = [migrations.RunSQL((Path(__file__).parent.parent / "step.sql").read_text())]
