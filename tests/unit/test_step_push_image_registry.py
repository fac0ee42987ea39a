"""`PushImage` with a registry: the candidate goes to its arch's staging repository, by digest."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from buildbot.process.properties import Secret, renderer
from buildbot.process.results import CANCELLED, FAILURE, SUCCESS
from pushbed import PushCase
from registrybed import FAST, PASSWORD, USER, serving
from registryfaults import status

from minios_steps import registry_step
from minios_steps.core.cell_record import CellRecord
from minios_steps.core.config.destination import RegistryDestination
from minios_steps.core.oci import media
from minios_steps.core.registry.connect import connect

if TYPE_CHECKING:
    from registrybed import Handler, Repo


class Staging(PushCase):
    def setUp(self) -> Any:
        stack = ExitStack()
        self.bed = stack.enter_context(serving())
        self.addCleanup(stack.close)
        return super().setUp()

    def push(self, **kwargs: Any) -> None:
        repository = f"{self.bed.host}/team/app"
        registry = RegistryDestination(kind="registry", repository=repository)
        super().push(**{"registry": registry, **kwargs})

    def staged(self) -> Repo:
        return self.bed.repo("team/app/x86_64")

    async def test_pushed(self) -> None:
        self.push()
        where = f"{self.bed.host}/team/app/x86_64"
        short = self.image.descriptor.digest.short
        self.expect_outcome(SUCCESS, f"candidate {short}, 0.00 MB, sent to {where}")
        self.expect_log_file("candidate", f"{where}@{self.image.descriptor.digest}\n")
        await self.run_step()
        assert self.store.find(self.key) is not None
        assert list(self.staged().manifests) == [str(self.image.descriptor.digest)], "under no tag"
        assert len(self.staged().blobs) == 2

    async def test_again(self) -> None:
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        since = len(self.bed.seen)
        self._steps.clear()
        self.push()
        where = f"{self.bed.host}/team/app/x86_64"
        short = self.image.descriptor.digest.short
        self.expect_outcome(SUCCESS, f"candidate {short}, 0.00 MB, already at {where}")
        await self.run_step()
        assert {one.method for one in self.bed.seen[since:]} == {"HEAD"}

    async def test_reused_and_gone_from_staging(self) -> None:
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        candidate = self.property("candidate")
        self.bed.repos.clear()
        self._steps.clear()
        self.push()
        # A cell that is reused has no files of a build.
        self.set_properties(reused=True, candidate=candidate, cell_dir="/nonexistent")
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert list(self.staged().manifests) == [str(self.image.descriptor.digest)]

    async def staged_again(self, lost: bool, *gone: str, **properties: Any) -> None:  # noqa: FBT001
        """A night on which some of a released image is gone from these repositories."""
        self.push()
        self.expect_outcome(SUCCESS)
        await self.run_step()
        staged, released = self.staged(), self.bed.repo("team/app")
        released.manifests.update(staged.manifests)
        released.blobs.update(staged.blobs)
        for one in gone:
            name, _, what = one.partition(" ")
            getattr(self.bed.repo(name), what).clear()
        self._steps.clear()
        self.push()
        told = {"reused": True, "nightly": True, "candidate": self.property("candidate"), **properties}
        self.set_properties(**told)
        self.expect_outcome(SUCCESS)
        if lost:
            self.expect_property("sent_again", True)
        else:
            self.expect_no_property("sent_again")
        await self.run_step()
        assert list(staged.manifests) == [str(self.image.descriptor.digest)]
        assert len(staged.blobs) == 2

    async def test_night_on_which_nothing_is_gone(self) -> None:
        await self.staged_again(False)

    async def test_night_after_the_staging_repository_was_cleaned_up(self) -> None:
        await self.staged_again(False, "team/app/x86_64 manifests", "team/app/x86_64 blobs")

    async def test_night_after_blobs_were_lost(self) -> None:
        await self.staged_again(True, "team/app blobs", "team/app/x86_64 blobs")

    async def test_night_after_a_manifest_was_lost(self) -> None:
        await self.staged_again(True, "team/app manifests", "team/app/x86_64 manifests")

    async def test_matrix_asks_nothing_of_the_release(self) -> None:
        await self.staged_again(False, "team/app manifests", "team/app/x86_64 manifests", nightly=False)
        assert not [one for one in self.bed.seen if one.path.startswith("/v2/team/app/manifests/")]

    async def test_in_dockers_form(self) -> None:
        repository = f"{self.bed.host}/team/app"
        self.push(registry=RegistryDestination(kind="registry", repository=repository, format="docker"))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        told = CellRecord.from_json(self.property("candidate"))
        assert told.descriptor.media_type == media.DOCKER_MANIFEST
        assert list(self.staged().manifests) == [str(told.descriptor.digest)]
        record = self.store.find(self.key)
        assert record
        assert record.descriptor == self.image.descriptor, "the store keeps what was built"

    async def test_tried_again(self) -> None:
        self.bed.fault("POST", "uploads", status(503))
        self.push()
        self.patch(registry_step, "connect", partial(connect, patience=FAST))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        assert "HTTP 503 Service Unavailable" in self.log_text("registry")
        assert "trying again in" in self.log_text("registry")

    async def test_refused(self) -> None:
        # The first is asked to mount, which not everybody may.
        for _ in range(2):
            self.bed.fault("POST", "uploads", status(403, "DENIED"))
        self.push()
        self.expect_outcome(FAILURE)
        self.expect_no_property("candidate")
        await self.run_step()
        told = self.property("problem")
        assert f"{self.bed.host}/team/app/x86_64: blob sha256:" in told
        assert "HTTP 403 Forbidden: DENIED: made up: denied" in told
        assert self.store.find(self.key) is not None, "the next run need not build it again"

    async def test_password(self) -> None:
        self.bed.auth = "basic"
        registry = RegistryDestination(
            kind="registry", repository=f"{self.bed.host}/team/app", username=USER, password_secret="door"
        )
        self.push(registry=registry, password=renderer(lambda _: PASSWORD))
        self.expect_outcome(SUCCESS)
        await self.run_step()
        step = self.get_nth_step(0)
        logs = [str(log.stdout) for log in step.logs.values()]
        kept = [repr(self.build.properties.asDict()), repr(vars(step)), *logs]
        assert not any(PASSWORD in text for text in kept)

    async def test_no_such_secret(self) -> None:
        registry = RegistryDestination(
            kind="registry", repository=f"{self.bed.host}/team/app", username=USER, password_secret="door"
        )
        self.push(registry=registry, password=Secret("door"))
        self.expect_outcome(FAILURE, "the master has no secret 'door', the password of the registry")
        await self.run_step()
        assert "put it into secrets/door of the state folder" in self.property("problem")
        assert not self.bed.seen

    async def test_cancelled_in_the_middle(self) -> None:
        self.push()

        def stop(handler: Handler) -> None:
            self.get_nth_step(0).interrupt("somebody pressed stop")
            handler.route(handler.path)

        self.bed.fault("POST", "uploads", stop)
        self.expect_outcome(CANCELLED)
        self.expect_no_property("candidate")
        await self.run_step()
        assert not self.staged().manifests
