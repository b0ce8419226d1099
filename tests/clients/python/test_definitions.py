"""Definitions through the official SDK."""

import datetime

from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph.generated.identity_governance.access_reviews.definitions.count.count_request_builder import CountRequestBuilder
from msgraph.generated.identity_governance.access_reviews.definitions.definitions_request_builder import (
    DefinitionsRequestBuilder,
)
from msgraph.generated.identity_governance.access_reviews.definitions.item.access_review_schedule_definition_item_request_builder import (
    AccessReviewScheduleDefinitionItemRequestBuilder,
)
from msgraph.generated.models.access_review_inactive_users_query_scope import AccessReviewInactiveUsersQueryScope
from msgraph.generated.models.access_review_instance import AccessReviewInstance
from msgraph.generated.models.access_review_query_scope import AccessReviewQueryScope
from msgraph.generated.models.access_review_set import AccessReviewSet
from msgraph.generated.models.principal_resource_memberships_scope import PrincipalResourceMembershipsScope
from msgraph.generated.models.recurrence_range_type import RecurrenceRangeType
from msgraph_core.tasks.page_iterator import PageIterator

from service import Case, REVIEWER, client, definition, identifier, members_of, reviews, settings, staged, user, weekly

LIST = DefinitionsRequestBuilder.DefinitionsRequestBuilderGetQueryParameters
GET = AccessReviewScheduleDefinitionItemRequestBuilder.AccessReviewScheduleDefinitionItemRequestBuilderGetQueryParameters
COUNT = CountRequestBuilder.CountRequestBuilderGetQueryParameters


def by_id(person, made):
    return reviews(person).definitions.by_access_review_schedule_definition_id(made.id)


class Definitions(Case):
    async def test_what_is_created_is_read_back(self):
        made = await reviews("carla").definitions.post(
            staged("read back", settings=settings(recurrence=weekly(start=datetime.date(2031, 5, 1))))
        )
        read = await by_id("carla", made).get()

        self.assertEqual(read.display_name, "read back")
        self.assertEqual(read.status, "NotStarted")
        self.assertIsInstance(read.scope, AccessReviewQueryScope)
        self.assertEqual(read.scope.query, members_of().query)
        self.assertEqual(read.settings.recommendation_look_back_duration, datetime.timedelta(days=30))
        self.assertEqual(read.settings.recurrence.range.start_date, datetime.date(2031, 5, 1))
        self.assertEqual(read.settings.recurrence.range.type, RecurrenceRangeType.Numbered)
        self.assertEqual([stage.stage_id for stage in read.stage_settings], ["1", "2"])
        self.assertEqual(read.stage_settings[0].reviewers[0].query_root, "decisions")
        self.assertEqual(read.created_by.id, identifier("carla"))
        self.assertIsNotNone(read.created_date_time.tzinfo)

    async def test_derived_scopes_keep_their_type(self):
        inactive = definition(
            "inactive",
            scope=AccessReviewInactiveUsersQueryScope(
                odata_type="#microsoft.graph.accessReviewInactiveUsersQueryScope",
                query=members_of().query,
                query_type="MicrosoftGraph",
                inactive_duration=datetime.timedelta(days=60),
            ),
        )
        application = definition(
            "application",
            scope=PrincipalResourceMembershipsScope(
                odata_type="#microsoft.graph.principalResourceMembershipsScope",
                principal_scopes=[
                    AccessReviewQueryScope(
                        odata_type="#microsoft.graph.accessReviewQueryScope", query="/users", query_type="MicrosoftGraph"
                    )
                ],
                resource_scopes=[
                    AccessReviewQueryScope(
                        odata_type="#microsoft.graph.accessReviewQueryScope",
                        query=f"/servicePrincipals/{identifier('payroll')}",
                        query_type="MicrosoftGraph",
                    )
                ],
            ),
        )
        made = [await reviews("carla").definitions.post(body) for body in (inactive, application)]
        read = [await by_id("carla", one).get() for one in made]

        self.assertIsInstance(read[0].scope, AccessReviewInactiveUsersQueryScope)
        self.assertEqual(read[0].scope.inactive_duration, datetime.timedelta(days=60))
        self.assertIsInstance(read[1].scope, PrincipalResourceMembershipsScope)
        self.assertEqual(read[1].scope.principal_scopes[0].query, "/users")
        self.assertEqual(read[1].scope.resource_scopes[0].query, f"/servicePrincipals/{identifier('payroll')}")

    async def test_what_was_read_is_changed_and_put_back_whole(self):
        made = await reviews("carla").definitions.post(staged("put", settings=settings(recurrence=weekly())))
        read = await by_id("carla", made).get()
        read.display_name = "put again"
        read.settings.justification_required_on_approval = True

        self.assertIsNone(await by_id("carla", made).put(read))

        read = await by_id("carla", made).get()
        self.assertEqual(read.display_name, "put again")
        self.assertTrue(read.settings.justification_required_on_approval)
        self.assertEqual(read.settings.recommendation_look_back_duration, datetime.timedelta(days=30))
        self.assertEqual(len(read.stage_settings), 2)

    async def test_a_series_is_stopped_and_a_definition_deleted(self):
        made = await reviews("carla").definitions.post(definition("stopped", settings=settings(recurrence=weekly())))

        self.assertIsNone(await by_id("carla", made).stop.post())
        self.assertIsNone(await by_id("carla", made).delete())

        await self.refused(404, by_id("carla", made).get())
        await self.refused(404, by_id("carla", made).delete())

    async def test_lists_are_filtered_ordered_selected_counted_and_paged_by_the_iterator(self):
        names = [f"paged {number:02}" for number in range(7)]
        for name in reversed(names):
            await reviews("carla").definitions.post(definition(name, scope=members_of("sales")))
        scope = f"contains(scope/microsoft.graph.accessReviewQueryScope/query, '/groups/{identifier('sales')}')"
        options = LIST(
            filter=f"{scope} and startswith(displayName,'paged ')",
            orderby=["displayName desc"],
            select=["id", "displayName"],
            top=2,
            count=True,
        )
        configuration = RequestConfiguration(query_parameters=options)
        first = await reviews("carla").definitions.get(configuration)
        seen = []
        pages = PageIterator(first, client("carla").request_adapter)
        await pages.iterate(lambda found: seen.append(found.display_name) or True)

        self.assertEqual(first.odata_count, 7)
        self.assertEqual(len(first.value), 2)
        self.assertIsNone(first.value[0].settings)
        self.assertEqual(seen, list(reversed(names)))
        count = await reviews("carla").definitions.count.get(
            RequestConfiguration(query_parameters=COUNT(filter=options.filter))
        )
        self.assertEqual(count, 7)
        skipped = await reviews("carla").definitions.get(
            RequestConfiguration(query_parameters=LIST(filter=options.filter, orderby=["displayName"], skip=5))
        )
        self.assertEqual([one.display_name for one in skipped.value], names[5:])

    async def test_instances_are_expanded_on_one_definition(self):
        made, instance = await self.open_review(definition("expanded"))
        read = await by_id("carla", made).get(RequestConfiguration(query_parameters=GET(expand=["instances"])))

        self.assertEqual([one.id for one in read.instances], [instance.id])
        self.assertEqual(instance.id, made.id, "a one-time review of one resource")

    async def test_a_reviewer_finds_what_is_his(self):
        made, _ = await self.open_review(definition("mine"))

        async def mine(person):
            found = await reviews(person).definitions.filter_by_current_user_with_on(REVIEWER).get()
            return [one.id for one in found.value]

        self.assertIn(made.id, await mine("mia"))
        self.assertNotIn(made.id, await mine("tom"))
        self.assertEqual((await by_id("mia", made).get()).display_name, "mine")
        await self.refused(404, by_id("tom", made).get())
        await self.refused(403, reviews("mia").definitions.get())

    async def test_refusals_are_typed_and_name_the_property(self):
        error = await self.refused(
            400, reviews("carla").definitions.post(definition("", settings=settings(instance_duration_in_days=-1)))
        )
        targets = [detail.target for detail in error.error.details]
        self.assertIn("displayName", targets)
        self.assertIn("settings.instanceDurationInDays", targets)
        unknown = definition("odd")
        unknown.scope = AccessReviewQueryScope(
            odata_type="#microsoft.graph.accessReviewQueryScope", query="/planets/mars", query_type="MicrosoftGraph"
        )
        error = await self.refused(400, reviews("carla").definitions.post(unknown))
        self.assertIn("/planets/mars", error.error.message)
        await self.refused(401, reviews("no token of ours").definitions.get())
        await self.refused(403, reviews("tom").definitions.post(definition("not allowed")))

    async def test_the_set_is_read_and_no_more(self):
        read = await reviews("carla").get()
        self.assertIsInstance(read, AccessReviewSet)
        self.assertTrue(read.id)
        await self.refused(405, reviews("carla").patch(AccessReviewSet()))
        await self.refused(405, reviews("carla").delete())
        made = await reviews("carla").definitions.post(definition("no instances by hand"))
        await self.refused(405, by_id("carla", made).instances.post(AccessReviewInstance()))
        instance = by_id("carla", made).instances.by_access_review_instance_id(made.id)
        await self.refused(405, instance.delete())
        await self.refused(404, reviews("carla").unified.definitions.get())
