from django.apps import AppConfig


class Clinic(AppConfig):
    name = "clinic"
