"""Stages through the official SDK."""

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.access_review_instance_item_request_builder import (
    AccessReviewInstanceItemRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.stages.item.batch_record_decisions.batch_record_decisions_post_request_body import (
    BatchRecordDecisionsPostRequestBody,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.instances.item.stages.item.decisions.decisions_request_builder import (
    DecisionsRequestBuilder,
)
from msgraph.generated.models.access_review_instance_decision_item import AccessReviewInstanceDecisionItem
from msgraph.generated.models.access_review_stage import AccessReviewStage
from msgraph.generated.models.governance_insight import GovernanceInsight

from service import Case, REVIEWER, identifier, staged, user

INSTANCE = AccessReviewInstanceItemRequestBuilder.AccessReviewInstanceItemRequestBuilderGetQueryParameters
DECISIONS = DecisionsRequestBuilder.DecisionsRequestBuilderGetQueryParameters


class Stages(Case):
    async def opened(self, name):
        made, instance = await self.open_review(staged(name))
        found = (await self.instance("carla", made, instance).stages.get()).value
        self.assertEqual([(one.status) for one in found], ["InProgress"], "later stages do not exist yet")

        def stage(person, which=found[0]):
            return self.instance(person, made, instance).stages.by_access_review_stage_id(which.id)

        return made, instance, stage

    async def test_reviewers_change_and_a_fallback_reviewer_stays(self):
        made, instance, stage = await self.opened("stage reviewers")
        before = await stage("carla").get()
        self.assertEqual(before.reviewers[0].query_root, "decisions")

        answered = await stage("carla").patch(AccessReviewStage(fallback_reviewers=[user("sam"), user("tom")]))
        self.assertEqual([one.query for one in answered.fallback_reviewers], [f"/users/{identifier(name)}" for name in ("sam", "tom")])
        await self.refused(409, stage("carla").patch(AccessReviewStage(fallback_reviewers=[user("tom")])))

        read = await stage("carla").get()
        read.reviewers = [user("pete")]
        answered = await stage("carla").patch(read)
        self.assertEqual([one.query for one in answered.reviewers], [f"/users/{identifier('pete')}"])
        self.assertEqual(len(answered.fallback_reviewers), 2)
        stages = self.instance("carla", made, instance).stages
        self.assertEqual(await stages.count.get(), 1)
        await self.refused(405, stages.post(AccessReviewStage()))
        await self.refused(405, stage("carla").delete())

    async def test_a_reviewer_finds_and_decides_his_items_of_a_stage(self):
        made, instance, stage = await self.opened("stage decisions")
        stages = self.instance("mia", made, instance).stages
        self.assertEqual(len((await stages.filter_by_current_user_with_on(REVIEWER).get()).value), 1)
        mine = (await stage("mia").decisions.filter_by_current_user_with_on(REVIEWER).get()).value
        self.assertEqual(len(mine), 4)

        at = stage("mia").decisions.by_access_review_instance_decision_item_id(mine[0].id)
        self.assertIsNone(await at.patch(AccessReviewInstanceDecisionItem(decision="DontKnow")))
        self.assertEqual((await at.get()).decision, "DontKnow")

        of_admin = stage("carla").decisions
        unsure = await of_admin.get(RequestConfiguration(query_parameters=DECISIONS(filter="decision eq 'DontKnow'")))
        self.assertEqual([one.id for one in unsure.value], [mine[0].id])
        self.assertEqual(await of_admin.count.get(), 6)
        insights = of_admin.by_access_review_instance_decision_item_id(mine[0].id).insights
        listed = (await insights.get()).value
        self.assertEqual(await insights.count.get(), len(listed))
        self.assertTrue((await insights.by_governance_insight_id(listed[0].id).get()).id)
        await self.refused(405, of_admin.post(AccessReviewInstanceDecisionItem()))
        await self.refused(405, of_admin.by_access_review_instance_decision_item_id(mine[0].id).delete())
        await self.refused(405, insights.post(GovernanceInsight()))

    async def test_a_stopped_stage_opens_the_next_one_with_what_moves_on(self):
        made, instance, stage = await self.opened("stage stopped")
        await stage("mia").batch_record_decisions.post(
            BatchRecordDecisionsPostRequestBody(decision="Deny", principal_id=identifier("ben"))
        )
        self.assertIsNone(await stage("mia").accept_recommendations.post())
        self.assertIsNone(await stage("carla").stop.post())

        carla = self.instance("carla", made, instance)
        read = await carla.get(RequestConfiguration(query_parameters=INSTANCE(expand=["stages"])))
        self.assertEqual([one.status for one in read.stages], ["Completed", "InProgress"])
        second = read.stages[1]
        items = (await stage("olga", second).decisions.filter_by_current_user_with_on(REVIEWER).get()).value
        self.assertNotIn(identifier("ben"), [item.principal.id for item in items])
        self.assertEqual({item.decision for item in items}, {"NotReviewed"})
