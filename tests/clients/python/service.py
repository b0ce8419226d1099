"""What the tests start from: the unmodified SDK pointed at the service, and reviews to try it on."""

import asyncio
import datetime
import json
import os
import time
import unittest
import urllib.request

from kiota_abstractions.authentication import (
    AccessTokenProvider,
    AllowedHostsValidator,
    BaseBearerTokenAuthenticationProvider,
)
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.access_review_apply_action import AccessReviewApplyAction
from msgraph.generated.models.access_review_query_scope import AccessReviewQueryScope
from msgraph.generated.models.access_review_reviewer_scope import AccessReviewReviewerScope
from msgraph.generated.models.access_review_schedule_definition import AccessReviewScheduleDefinition
from msgraph.generated.models.access_review_schedule_settings import AccessReviewScheduleSettings
from msgraph.generated.models.access_review_stage_settings import AccessReviewStageSettings
from msgraph.generated.models.patterned_recurrence import PatternedRecurrence
from msgraph.generated.models.recurrence_pattern import RecurrencePattern
from msgraph.generated.models.recurrence_pattern_type import RecurrencePatternType
from msgraph.generated.models.recurrence_range import RecurrenceRange
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType

PLACE = json.loads(os.environ["ATTESTRY_CLIENT_TESTS"])
"""Written by the test that starts this: `url`, `throttledUrl`, `control`, `tenant`, `tokens` and `ids` by name."""

REVIEWER = "reviewer"
PATIENCE_SECONDS = 60
METRIC = "attestry_http_requests_total"


class StaticToken(AccessTokenProvider):
    def __init__(self, token):
        self.token = token

    async def get_authorization_token(self, uri, additional_authentication_context={}):
        return self.token

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


def client(person, url=None):
    """The SDK as `person`, with nothing changed but address and token."""
    adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(StaticToken(PLACE["tokens"].get(person, person))))
    adapter.base_url = (url or PLACE["url"]) + "/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def reviews(person, url=None):
    return client(person, url).identity_governance.access_reviews


def identifier(name):
    return PLACE["ids"][name]


def user(name):
    return AccessReviewReviewerScope(query=f"/users/{identifier(name)}", query_type="MicrosoftGraph")


def managers():
    return AccessReviewReviewerScope(query="./manager", query_type="MicrosoftGraph", query_root="decisions")


def members_of(group="finance"):
    return AccessReviewQueryScope(
        odata_type="#microsoft.graph.accessReviewQueryScope",
        query=f"/groups/{identifier(group)}/transitiveMembers",
        query_type="MicrosoftGraph",
    )


def settings(**changes):
    values = {
        "mail_notifications_enabled": False,
        "reminder_notifications_enabled": False,
        "justification_required_on_approval": False,
        "default_decision_enabled": False,
        "default_decision": "None",
        "instance_duration_in_days": 7,
        "auto_apply_decisions_enabled": False,
        "recommendations_enabled": True,
        "recommendation_look_back_duration": datetime.timedelta(days=30),
        "apply_actions": [],
    }
    values.update(changes)
    return AccessReviewScheduleSettings(**values)


def weekly(occurrences=4, start=None):
    return PatternedRecurrence(
        pattern=RecurrencePattern(type=RecurrencePatternType.Weekly, interval=1),
        range=RecurrenceRange(
            type=RecurrenceRangeType.Numbered,
            number_of_occurrences=occurrences,
            start_date=start or datetime.date.today(),
        ),
    )


def definition(name, **changes):
    values = {
        "display_name": name,
        "description_for_admins": "made by a test",
        "description_for_reviewers": "keep who needs it",
        "scope": members_of(),
        "reviewers": [managers()],
        "fallback_reviewers": [user("sam")],
        "settings": settings(),
    }
    values.update(changes)
    return AccessReviewScheduleDefinition(**values)


def stage(number, **changes):
    values = {
        "stage_id": str(number),
        "depends_on": [] if number == 1 else [str(number - 1)],
        "duration_in_days": 3,
        "recommendations_enabled": True,
        "decisions_that_will_move_to_next_stage": ["Approve", "NotReviewed"],
        "reviewers": [managers()],
        "fallback_reviewers": [user("sam")],
    }
    values.update(changes)
    return AccessReviewStageSettings(**values)


def staged(name, **changes):
    return definition(name, stage_settings=[stage(1), stage(2, reviewers=[user("olga")])], **changes)


async def eventually(what, attempt):
    """What `attempt` answers, once it answers something true."""
    began = time.monotonic()
    while True:
        found = await attempt()
        if found:
            return found
        if time.monotonic() - began > PATIENCE_SECONDS:
            raise AssertionError(f"it never came true that {what}")
        await asyncio.sleep(0.05)


def post(url, body, token=None):
    """A call that no SDK makes: the sandbox clock, and the controls of the test around this one."""
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
        return answer.read()


def refusals(url, status):
    """How many requests the service at `url` has answered with `status`, by its own metrics."""
    with urllib.request.urlopen(url + "/metrics", timeout=PATIENCE_SECONDS) as answer:
        lines = answer.read().decode().splitlines()
    counted = [line for line in lines if line.startswith(METRIC) and f'status="{status}"' in line]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counted)


def advance(duration):
    """Moves the tenant's clock; everything due has happened afterwards."""
    post(PLACE["url"] + "/attestry/v1/sandbox/clock", {"advance": duration}, PLACE["tokens"]["carla"])


class Case(unittest.IsolatedAsyncioTestCase):
    maxDiff = None

    async def open_review(self, body):
        """Creates the definition and answers it with its instance, once that takes decisions."""
        made = await reviews("carla").definitions.post(body)
        instance = await self.running_instance(made.id)
        return made, instance

    async def running_instance(self, definition_id):
        async def running():
            page = await reviews("carla").definitions.by_access_review_schedule_definition_id(definition_id).instances.get()
            return next((instance for instance in page.value if instance.status == "InProgress"), None)

        return await eventually("the instance runs", running)

    def instance(self, person, made, instance, url=None):
        by_id = reviews(person, url).definitions.by_access_review_schedule_definition_id(made.id)
        return by_id.instances.by_access_review_instance_id(instance.id)

    async def refused(self, status, call):
        """The typed error of a refusal, complete as the SDK reads it."""
        from msgraph.generated.models.o_data_errors.o_data_error import ODataError

        with self.assertRaises(ODataError) as raised:
            await call
        error = raised.exception
        self.assertEqual(error.response_status_code, status, error.error)
        self.assertTrue(error.error.code)
        self.assertTrue(error.error.message)
        self.assertTrue(error.error.inner_error.request_id)
        self.assertTrue(error.error.inner_error.client_request_id)
        self.assertIsNotNone(error.error.inner_error.date)
        return error
