"""The SDK's batch helpers."""

from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph_core.requests.batch_request_builder import BatchRequestBuilder
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_content_collection import BatchRequestContentCollection
from msgraph_core.requests.batch_request_item import BatchRequestItem

from service import Case, REVIEWER, client, definition, reviews


class Batches(Case):
    async def test_each_request_of_a_batch_has_its_own_status(self):
        made = await reviews("carla").definitions.post(definition("batched"))
        of_carla = reviews("carla").definitions
        at = of_carla.by_access_review_schedule_definition_id(made.id)
        absent = of_carla.by_access_review_schedule_definition_id("11111111-2222-4333-8444-555555555555")

        listed = BatchRequestItem(of_carla.to_get_request_information(), id="list")
        read = BatchRequestItem(at.to_get_request_information(), id="read", depends_on=["list"])
        missed = BatchRequestItem(absent.to_get_request_information(), id="missed")
        after = BatchRequestItem(at.instances.to_get_request_information(), id="after", depends_on=["missed"])
        mine = BatchRequestItem(
            of_carla.filter_by_current_user_with_on(REVIEWER).to_get_request_information(), id="mine"
        )
        deleted = BatchRequestItem(at.to_delete_request_information(), id="deleted", depends_on=["read"])
        content = BatchRequestContent()
        for item in (listed, read, missed, after, mine, deleted):
            content.add_request(item.id, item)

        answer = await self.batch(content)

        self.assertEqual(
            answer.get_response_status_codes(),
            {"list": 200, "read": 200, "missed": 404, "after": 424, "mine": 200, "deleted": 204},
        )
        headers = {name.lower(): value for name, value in answer.get_response_by_id("read").headers.items()}
        self.assertTrue(headers["content-type"].startswith("application/json"))
        await self.refused(404, at.get())

    async def test_more_than_twenty_go_in_several_batches(self):
        content = BatchRequestContentCollection()
        for number in range(25):
            item = BatchRequestItem(reviews("carla").definitions.to_get_request_information(), id=str(number))
            content.add_batch_request_item(item)

        answers = await BatchRequestBuilder(client("carla").request_adapter, {"XXX": ODataError}).post(content)

        statuses = {}
        for answer in answers.get_responses():
            statuses.update(answer.get_response_status_codes())
        self.assertEqual(statuses, {str(number): 200 for number in range(25)})

    async def batch(self, content):
        return await BatchRequestBuilder(client("carla").request_adapter, {"XXX": ODataError}).post(content)
