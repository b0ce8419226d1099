"""History definitions through the official SDK, and the download without it."""

import csv
import datetime
import io
import urllib.request

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.identity_governance.access_reviews.history_definitions.history_definitions_request_builder import (
    HistoryDefinitionsRequestBuilder,
)
from msgraph.generated.models.access_review_history_decision_filter import AccessReviewHistoryDecisionFilter
from msgraph.generated.models.access_review_history_definition import AccessReviewHistoryDefinition
from msgraph.generated.models.access_review_history_instance import AccessReviewHistoryInstance
from msgraph.generated.models.access_review_history_status import AccessReviewHistoryStatus
from msgraph.generated.models.access_review_query_scope import AccessReviewQueryScope

from service import Case, definition, eventually, identifier, reviews

LIST = HistoryDefinitionsRequestBuilder.HistoryDefinitionsRequestBuilderGetQueryParameters
DECISION_FILTERS = AccessReviewHistoryDecisionFilter


def report(name):
    now = datetime.datetime.now(datetime.timezone.utc)
    return AccessReviewHistoryDefinition(
        display_name=name,
        decisions=[DECISION_FILTERS.Approve, DECISION_FILTERS.Deny, DECISION_FILTERS.DontKnow,
                   DECISION_FILTERS.NotReviewed, DECISION_FILTERS.NotNotified],
        review_history_period_start_date_time=now - datetime.timedelta(days=1),
        review_history_period_end_date_time=now + datetime.timedelta(days=365),
        scopes=[
            AccessReviewQueryScope(
                odata_type="#microsoft.graph.accessReviewQueryScope",
                query="/identityGovernance/accessReviews/definitions?$filter=contains(scope/query, "
                f"'/groups/{identifier('finance')}')",
                query_type="MicrosoftGraph",
            )
        ],
    )


class History(Case):
    async def test_a_report_is_made_downloaded_renamed_and_deleted(self):
        made, _ = await self.open_review(definition("reported"))
        histories = reviews("carla").history_definitions
        ordered = await histories.post(report("quarter"))
        at = histories.by_access_review_history_definition_id(ordered.id)

        async def done():
            return (await at.get()).status == AccessReviewHistoryStatus.Done

        await eventually("the report is made", done)
        runs = (await at.instances.get()).value
        self.assertEqual(len(runs), 1)
        self.assertEqual(await at.instances.count.get(), 1)
        run = at.instances.by_access_review_history_instance_id(runs[0].id)
        self.assertIsNone((await run.get()).download_uri)
        linked = await run.generate_download_uri.post()
        self.assertIsInstance(linked, AccessReviewHistoryInstance)

        with urllib.request.urlopen(linked.download_uri, timeout=60) as answer:
            self.assertTrue(answer.headers["Content-Type"].startswith("text/csv"))
            rows = list(csv.DictReader(io.TextIOWrapper(answer, encoding="utf-8-sig")))
        self.assertEqual(len(rows[0]), 30)
        self.assertEqual(len([row for row in rows if row["AccessReviewId"] == made.id]), 6)

        expanded = await histories.get(RequestConfiguration(query_parameters=LIST(expand=["instances"])))
        found = next(one for one in expanded.value if one.id == ordered.id)
        self.assertEqual([one.id for one in found.instances], [runs[0].id])
        self.assertGreaterEqual(await histories.count.get(), 1)
        self.assertEqual((await at.patch(AccessReviewHistoryDefinition(display_name="renamed"))).display_name, "renamed")
        await self.refused(405, at.instances.post(AccessReviewHistoryInstance()))
        await self.refused(405, run.patch(AccessReviewHistoryInstance()))
        await self.refused(405, run.delete())
        self.assertIsNone(await at.delete())
        await self.refused(404, at.get())

    async def test_a_report_without_a_window_or_with_an_odd_scope_is_refused(self):
        without = report("no window")
        without.review_history_period_start_date_time = None
        await self.refused(400, reviews("carla").history_definitions.post(without))
        odd = report("odd")
        odd.scopes[0].query = "/planets"
        error = await self.refused(400, reviews("carla").history_definitions.post(odd))
        self.assertIn("/planets", error.error.message)
