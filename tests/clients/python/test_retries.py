"""What the SDK's retry handler survives."""

import asyncio

from msgraph.generated.models.access_review_stage import AccessReviewStage

from service import Case, PLACE, post, refusals, reviews, staged, user


class Retries(Case):
    async def test_throttled_requests_are_asked_again(self):
        # at once, so that they come within the quota's ten seconds however slow the machine is
        many = [reviews("carla", PLACE["throttledUrl"]).definitions.get() for _ in range(int(PLACE["throttledAfter"]) + 3)]
        answers = await asyncio.gather(*many)

        self.assertTrue(all(answer.value is not None for answer in answers))
        self.assertGreater(refusals(PLACE["throttledUrl"], 429), 0, "nobody was throttled, so nothing was survived")

    async def test_a_busy_database_is_waited_for_and_the_change_made_once(self):
        made, instance = await self.open_review(staged("busy"))
        stages = self.instance("carla", made, instance).stages
        stage = (await stages.get()).value[0]
        # somebody holds the stage longer than the service waits for it
        holding = asyncio.to_thread(post, PLACE["control"] + "/hold", {"stage": stage.id})
        held = asyncio.create_task(holding)
        await asyncio.to_thread(post, PLACE["control"] + "/held", {"stage": stage.id})

        answered = await stages.by_access_review_stage_id(stage.id).patch(
            AccessReviewStage(fallback_reviewers=[user("sam"), user("tom")])
        )

        self.assertEqual(len(answered.fallback_reviewers), 2)
        self.assertEqual(await held, b"refused once")
