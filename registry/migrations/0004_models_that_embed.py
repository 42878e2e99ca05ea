from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_unique_in_either_database"),
    ]

    operations = [
        migrations.AddField(
            model_name="registeredmodel",
            name="embeds",
            field=models.BooleanField(
                default=False,
                help_text="It turns texts into vectors, for the scorer semantic similarity, and answers nothing",
                verbose_name="embeds texts",
            ),
        ),
    ]
