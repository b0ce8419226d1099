"""Decisions of a review through Django REST framework: one by its key, and pages of a hundred by cursor, which is the pagination
that its documentation recommends for large tables. Twice: through the serializer that its tutorial makes of a model, and as light as
it can be, with rows that go from the database into the answer as they are."""

from django.db import connection, models, transaction
from django.urls import path
from rest_framework.pagination import CursorPagination
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet


class Decision(models.Model):
    """A row of the view."""

    pk = models.CompositePrimaryKey("instance_id", "seq")
    instance_id = models.UUIDField()
    seq = models.IntegerField()
    id = models.UUIDField()
    decision = models.TextField()
    justification = models.TextField()
    recommendation = models.TextField()
    principal_id = models.UUIDField()
    principal_name = models.TextField()
    principal_type = models.TextField()
    resource_id = models.UUIDField()
    resource_name = models.TextField()
    reviewed_by_id = models.UUIDField(null=True)
    reviewed_by_name = models.TextField(null=True)
    reviewed_by_user_principal_name = models.TextField(null=True)
    reviewed_date_time = models.DateTimeField(null=True)
    apply_result = models.TextField()

    class Meta:
        app_label = "reviews"
        managed = False
        db_table = "review_decisions"


ANSWERED = [field.name for field in Decision._meta.fields if field.name not in ("pk", "instance_id")]


class RowSerializer(BaseSerializer):
    """A row as it came."""

    def to_representation(self, instance):
        return instance


class DecisionSerializer(ModelSerializer):
    """A row, field by field."""

    class Meta:
        model = Decision
        fields = read_only_fields = ANSWERED


class Pages(CursorPagination):
    """By cursor: nothing is counted, and a page behind costs what the first one does."""

    page_size = 100
    ordering = "seq"


class Decisions(ReadOnlyModelViewSet):
    """The decisions of one instance."""

    serializer_class = DecisionSerializer
    pagination_class = Pages
    lookup_field = "seq"

    def get_queryset(self):
        return Decision.objects.filter(instance_id=self.kwargs["instance"])


class DecisionRows(Decisions):
    """The same without models and without fields."""

    serializer_class = RowSerializer

    def get_queryset(self):
        return super().get_queryset().values(*ANSWERED)


def tenant(get_response):
    """Sets the tenant for the transaction of a request; the database shows its rows and no others."""

    def respond(request):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(
                    "select set_config('attestry.tenant', %s, true)",
                    [request.headers.get("Authorization", "").removeprefix("Bearer ")],
                )
            return get_response(request)

    return respond


urlpatterns = [
    path("instances/<uuid:instance>/decisions", Decisions.as_view({"get": "list"})),
    path("instances/<uuid:instance>/decisions/<int:seq>", Decisions.as_view({"get": "retrieve"})),
    path("instances/<uuid:instance>/rows", DecisionRows.as_view({"get": "list"})),
    path("instances/<uuid:instance>/rows/<int:seq>", DecisionRows.as_view({"get": "retrieve"})),
]
