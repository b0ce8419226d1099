"""Instances, their reviewers and their decisions, through the official SDK."""

import datetime

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.instances_request_builder import (
    InstancesRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.access_review_instance_item_request_builder import (
    AccessReviewInstanceItemRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.batch_record_decisions.batch_record_decisions_post_request_body import (
    BatchRecordDecisionsPostRequestBody,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.decisions.count.count_request_builder import (
    CountRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.decisions.decisions_request_builder import (
    DecisionsRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.decisions.item.access_review_instance_decision_item_item_request_builder import (
    AccessReviewInstanceDecisionItemItemRequestBuilder,
)
from msgraph.generated.models.access_review_instance import AccessReviewInstance
from msgraph.generated.models.access_review_instance_decision_item import AccessReviewInstanceDecisionItem
from msgraph.generated.models.access_review_reviewer import AccessReviewReviewer
from msgraph.generated.models.governance_insight import GovernanceInsight
from msgraph.generated.models.user_identity import UserIdentity
from msgraph.generated.models.user_sign_in_insight import UserSignInInsight

from service import Case, REVIEWER, definition, eventually, identifier, members_of, reviews, user

INSTANCES = InstancesRequestBuilder.InstancesRequestBuilderGetQueryParameters
INSTANCE = AccessReviewInstanceItemRequestBuilder.AccessReviewInstanceItemRequestBuilderGetQueryParameters
DECISIONS = DecisionsRequestBuilder.DecisionsRequestBuilderGetQueryParameters
DECISION = (
    AccessReviewInstanceDecisionItemItemRequestBuilder.AccessReviewInstanceDecisionItemItemRequestBuilderGetQueryParameters
)
DECISION_COUNT = CountRequestBuilder.CountRequestBuilderGetQueryParameters
NOBODY = "00000000-0000-0000-0000-000000000000"


def asking(parameters):
    return RequestConfiguration(query_parameters=parameters)


class Instances(Case):
    async def test_a_list_is_filtered_and_counted(self):
        made, instance = await self.open_review(definition("instances"))
        instances = reviews("carla").definitions.by_access_review_schedule_definition_id(made.id).instances

        running = await instances.get(asking(INSTANCES(filter="status eq 'InProgress'", orderby=["startDateTime desc"])))
        read = await self.instance("carla", made, instance).get(asking(INSTANCE(expand=["contactedReviewers"])))

        self.assertEqual([one.id for one in running.value], [instance.id])
        self.assertEqual(await instances.count.get(), 1)
        self.assertEqual(read.end_date_time - read.start_date_time, datetime.timedelta(days=7))
        self.assertEqual({one.id for one in read.contacted_reviewers}, {identifier("mia"), identifier("noor"), identifier("sam")})
        mine = reviews("mia").definitions.by_access_review_schedule_definition_id(made.id).instances
        self.assertEqual([one.id for one in (await mine.filter_by_current_user_with_on(REVIEWER).get()).value], [instance.id])

    async def test_reviewers_are_replaced_and_fallback_reviewers_only_grow(self):
        made, instance = await self.open_review(definition("reviewers"))
        at = self.instance("carla", made, instance)

        answered = await at.patch(AccessReviewInstance(reviewers=[user("olga")], fallback_reviewers=[user("sam"), user("tom")]))
        self.assertEqual([one.query for one in answered.reviewers], [f"/v1.0/users/{identifier('olga')}"])
        self.assertEqual(len(answered.fallback_reviewers), 2)
        await self.refused(409, at.patch(AccessReviewInstance(fallback_reviewers=[user("tom")])))

        read = await at.get()
        read.reviewers = [user("olga"), user("pete")]
        self.assertEqual(len((await at.patch(read)).reviewers), 2)
        self.assertEqual(len((await at.get()).fallback_reviewers), 2)

    async def test_contacted_reviewers_are_listed_counted_and_read(self):
        made, instance = await self.open_review(definition("contacted"))
        contacted = self.instance("carla", made, instance).contacted_reviewers

        self.assertEqual(len((await contacted.get()).value), 3)
        self.assertEqual(await contacted.count.get(), 3)
        mia = await contacted.by_access_review_reviewer_id(identifier("mia")).get()
        self.assertEqual(mia.user_principal_name, "mia@acme.example")
        await self.refused(405, contacted.post(AccessReviewReviewer()))
        await self.refused(405, contacted.by_access_review_reviewer_id(identifier("mia")).patch(AccessReviewReviewer()))
        await self.refused(405, contacted.by_access_review_reviewer_id(identifier("mia")).delete())

    async def test_actions_without_a_body_answer_nothing(self):
        made, instance = await self.open_review(definition("actions"))
        at = self.instance("carla", made, instance)

        self.assertIsNone(await at.send_reminder.post())
        self.assertIsNone(await at.reset_decisions.post())
        self.assertIsNone(await at.stop.post())
        self.assertEqual((await at.get()).status, "Completed")
        await self.refused(400, at.stop.post())
        self.assertIsNone(await at.apply_decisions.post())

        async def applied():
            return (await at.get()).status == "Applied"

        await eventually("the decisions are applied", applied)

    async def test_denied_access_is_removed_when_applied(self):
        # a group of its own: what is applied here changes the directory
        made, instance = await self.open_review(definition("applied", scope=members_of("lab"), reviewers=[user("olga")]))
        olga, carla = self.instance("olga", made, instance), self.instance("carla", made, instance)
        for item in (await olga.decisions.filter_by_current_user_with_on(REVIEWER).get()).value:
            body = AccessReviewInstanceDecisionItem(decision="Deny", justification="left the lab")
            self.assertIsNone(await olga.decisions.by_access_review_instance_decision_item_id(item.id).patch(body))
        await carla.stop.post()
        await carla.apply_decisions.post()

        async def applied():
            return (await carla.get()).status == "Applied"

        await eventually("the decisions are applied", applied)
        items = (await carla.decisions.get(asking(DECISIONS(filter="applyResult eq 'AppliedSuccessfully'")))).value
        self.assertEqual(len(items), 2)
        self.assertEqual({item.applied_by.id for item in items}, {identifier("carla")})


class Decisions(Case):
    async def test_a_reviewer_decides_what_is_his(self):
        made, instance = await self.open_review(definition("decide"))
        mia = self.instance("mia", made, instance)
        mine = (await mia.decisions.filter_by_current_user_with_on(REVIEWER).get()).value
        self.assertEqual(len(mine), 4)
        item = mine[0]
        self.assertEqual((item.decision, item.reviewed_by.id, item.apply_result), ("NotReviewed", NOBODY, "New"))
        self.assertIsInstance(item.principal, UserIdentity)
        self.assertEqual(item.access_review_id, instance.id)

        at = mia.decisions.by_access_review_instance_decision_item_id(item.id)
        self.assertIsNone(await at.patch(AccessReviewInstanceDecisionItem(decision="Approve", justification="still here")))

        read = await at.get()
        self.assertEqual((read.decision, read.justification, read.reviewed_by.id), ("Approve", "still here", identifier("mia")))
        self.assertIsNotNone(read.reviewed_date_time)
        read.decision = "Deny"
        await at.patch(read)
        self.assertEqual((await at.get()).decision, "Deny")
        others = self.instance("carla", made, instance).decisions.by_access_review_instance_decision_item_id(item.id)
        await self.refused(403, others.patch(AccessReviewInstanceDecisionItem(decision="Approve")))

    async def test_lists_are_filtered_ordered_counted_and_expanded(self):
        made, instance = await self.open_review(definition("listed"))
        mia, carla = self.instance("mia", made, instance), self.instance("carla", made, instance)
        item = (await mia.decisions.filter_by_current_user_with_on(REVIEWER).get()).value[0]
        await mia.decisions.by_access_review_instance_decision_item_id(item.id).patch(
            AccessReviewInstanceDecisionItem(decision="Deny", justification="gone")
        )

        denied = await carla.decisions.get(asking(DECISIONS(filter="decision eq 'Deny'", count=True, expand=["insights"])))
        ordered = await carla.decisions.get(asking(DECISIONS(orderby=["principal/displayName"], select=["id", "principal"])))

        self.assertEqual((denied.odata_count, [one.id for one in denied.value]), (1, [item.id]))
        names = [one.principal.display_name for one in ordered.value]
        self.assertEqual(names, sorted(names))
        self.assertEqual(await carla.decisions.count.get(), 6)
        self.assertEqual(
            await carla.decisions.count.get(asking(DECISION_COUNT(filter="decision eq 'NotReviewed'"))), 5
        )
        await self.refused(405, carla.decisions.post(AccessReviewInstanceDecisionItem()))
        await self.refused(405, carla.decisions.by_access_review_instance_decision_item_id(item.id).delete())

    async def test_insights_say_why(self):
        made, instance = await self.open_review(definition("insights"))
        carla = self.instance("carla", made, instance)
        items = (await carla.decisions.get(asking(DECISIONS(expand=["insights"])))).value
        ana = next(item for item in items if item.principal.id == identifier("ana"))
        self.assertEqual(ana.recommendation, "Approve")
        self.assertIsInstance(ana.insights[0], UserSignInInsight)

        at = carla.decisions.by_access_review_instance_decision_item_id(ana.id)
        listed = (await at.insights.get()).value
        self.assertEqual(await at.insights.count.get(), len(listed))
        self.assertIsNotNone(listed[0].last_sign_in_date_time)
        one = await at.insights.by_governance_insight_id(listed[0].id).get()
        self.assertEqual(one.last_sign_in_date_time, listed[0].last_sign_in_date_time)
        self.assertEqual(len((await at.get(asking(DECISION(expand=["insights"])))).insights), len(listed))
        await self.refused(405, at.insights.post(GovernanceInsight()))
        await self.refused(405, at.insights.by_governance_insight_id(listed[0].id).patch(GovernanceInsight()))
        await self.refused(405, at.insights.by_governance_insight_id(listed[0].id).delete())

    async def test_many_are_decided_at_once_reset_and_recommendations_accepted(self):
        made, instance = await self.open_review(definition("bulk"))
        mia, carla = self.instance("mia", made, instance), self.instance("carla", made, instance)

        async def decided():
            return sorted(item.decision for item in (await carla.decisions.get()).value)

        await mia.batch_record_decisions.post(
            BatchRecordDecisionsPostRequestBody(decision="Approve", justification="all of mine", principal_id=identifier("ana"))
        )
        self.assertEqual(await decided(), ["Approve"] + ["NotReviewed"] * 5)
        await mia.batch_record_decisions.post(BatchRecordDecisionsPostRequestBody(decision="Deny", justification="all of mine"))
        self.assertEqual(await decided(), ["Deny"] * 4 + ["NotReviewed"] * 2)
        await carla.reset_decisions.post()
        self.assertEqual(await decided(), ["NotReviewed"] * 6)
        self.assertIsNone(await mia.accept_recommendations.post())
        self.assertEqual(await decided(), ["Approve"] * 2 + ["Deny"] + ["NotReviewed"] * 3)
        await self.refused(403, carla.accept_recommendations.post())
