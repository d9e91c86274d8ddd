from pathlib import Path

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunSQL((Path(__file__).parent.parent / "tables.sql").read_text())]
