"""`PublishManifest`: one version and variant becomes an index under its tags, or nothing changes."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from buildbot.process.results import FAILURE, SUCCESS, WARNINGS
from buildbot.reporters.utils import getURLForBuild

from minios_steps.core.cancel import CancelledError
from minios_steps.core.candidates import CandidateStore
from minios_steps.core.errors import MiniosError
from minios_steps.core.policy import CellResult
from minios_steps.core.records import Trigger
from minios_steps.core.registry.claim import DEFAULT_TIMES, Holder, Times
from minios_steps.core.release import Published, Releaser, ReleaseReport
from minios_steps.core.release_layout import LayoutTarget
from minios_steps.core.release_record import RecordFacts
from minios_steps.core.release_registry import RegistryTarget
from minios_steps.core.supply.chain import SupplyChain
from minios_steps.core.supply.keys import SigningKey
from minios_steps.core.version import Version
from minios_steps.release_step import ReleaseStep

if TYPE_CHECKING:
    from minios_steps.core.registry.connect import Connection
    from minios_steps.core.release_target import ReleaseTarget

_DISTRIBUTIONS = {"minios": "minios-buildbot", "buildbot": "buildbot"}


class PublishManifest(ReleaseStep):
    """Re-verify every candidate, apply the policy, write the index, move the tags, read back.

    Args:
        version: the release.
        variant: `static` or `dynamic`.
        holder: who claims to move a registry's tags; by default this master by its name.
        claim: how long to wait for other masters, and how long they wait for this one.
        signing_key: the private key that signs index, images and papers, in PEM: a renderable such
            as `util.Secret("NAME")`, rendered when it is needed and kept nowhere.
        signing_password: of that key, likewise; None where it has none.

    Reads the properties `cells` and `asked_arches` of `TriggerMatrix`. Updates `cells`
    and appends to `releases`, a list of `ReleaseReport` in JSON form. FAILURE when the
    policy blocks the release: then nothing was written.
    """

    haltOnFailure = False
    renderables = ("version", "variant")

    def __init__(
        self,
        *,
        version: Any,
        variant: Any,
        holder: Holder | None = None,
        claim: Times = DEFAULT_TIMES,
        signing_key: Any = None,
        signing_password: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("name", f"publish {version} {variant}")
        super().__init__(**kwargs)
        self.version = version
        self.variant = variant
        self.holder = holder
        self.claim = claim
        self.signing_key = signing_key
        self.signing_password = signing_password

    async def work(self) -> int:
        """Publish and tell."""
        mine = self.mine(self.cells())
        try:
            facts = await self._facts()
            key = await self._key()
            done = await self.connected(self._publish, mine, facts, key)
        except CancelledError:
            raise
        except MiniosError as error:
            done = self.failed(error)
        return await self.conclude(done)

    def failed(self, error: MiniosError) -> Published:
        """What the run's summary tells of a release that an error stopped."""
        report = ReleaseReport.failed(str(self.version), self.variant, str(error))
        return Published(report, self.mine(self.cells()))

    async def conclude(self, done: Published) -> int:
        """Tell how a release ended; the step's result."""
        cells, report = self.cells(), done.report
        final = {(r.arch, r.version, r.variant): r for r in done.results}
        updated = [final.get((c.arch, c.version, c.variant), c) for c in cells]
        self.setProperty("cells", [c.as_json() for c in updated], self.name)
        self.setProperty("releases", [*self.getProperty("releases", []), report.as_json()], self.name)
        self.summary = _summary(report)
        if report.reasons:
            await self.addCompleteLog("policy", "\n".join(report.reasons) + "\n")
        if done.record:
            told = json.dumps(done.record.as_json(), indent=2)
            await self.addCompleteLog("record", f"{told}\n")
        if self.registry and report.index:
            scheme = "http" if self.registry.speaks_http else "https"
            where = f"{scheme}://{self.registry.host}/v2/{self.registry.path}/manifests/"
            await self.addURL("index", where + report.index)
            if report.record:
                await self.addURL("record", where + report.record)
        if report.outcome in ("blocked", "failed"):
            self.setProperty("problem", self.summary, self.name)
            return int(FAILURE)
        return int(WARNINGS if report.outcome == "partial" else SUCCESS)

    def cells(self) -> list[CellResult]:
        """Every cell of the run."""
        return [CellResult.from_json(item) for item in self.getProperty("cells", [])]

    def mine(self, cells: list[CellResult]) -> list[CellResult]:
        """Those of the version and variant."""
        return [c for c in cells if c.version == str(self.version) and c.variant == self.variant]

    def _publish(
        self,
        connection: Connection | None,
        cells: list[CellResult],
        facts: RecordFacts,
        key: SigningKey | None,
    ) -> Published:
        store = CandidateStore(self.store)
        target = self._target(connection, store)
        papers = SupplyChain(target.candidates, key)
        releaser = Releaser(self.project, store, target, facts=facts, attachments=papers)
        version = Version.parse(str(self.version))
        return releaser.publish(version, self.variant, cells, list(self.getProperty("asked_arches", [])))

    def _target(self, connection: Connection | None, store: CandidateStore) -> ReleaseTarget:
        if connection:
            holder = self.holder or Holder(self.master.name, f"minios on {platform.node()}")
            return RegistryTarget(connection, store, holder, self.claim, self.cancelled)
        return LayoutTarget(self.released_layout(), store)

    async def _key(self) -> SigningKey | None:
        """The key that signs; None where none is asked for."""
        names = self.project.minios.signing
        pem = await self.secret(self.signing_key, names.key_secret, "the key that signs releases")
        if not pem:
            return None
        password = await self.secret(
            self.signing_password, names.password_secret, "the password of the signing key"
        )
        what = f"secret {names.key_secret!r}" if names.key_secret else "signing_key"
        # A password costs a tenth of a second on purpose.
        return await self.in_thread(SigningKey.load, pem.encode(), password.encode(), what)

    async def _facts(self) -> RecordFacts:
        """Who asked for this, and with which programs."""
        builder = await self.master.data.updates.findBuilderId(self.build.builder.name)
        told = {name: str(self.getProperty(name, "") or "") for name in ("owner", "reason", "scheduler")}
        versions = {name: metadata.version(what) for name, what in _DISTRIBUTIONS.items()}
        return RecordFacts(
            Trigger(**told, build=getURLForBuild(self.master, builder, self.build.number)),
            {**versions, "python": platform.python_version()},
        )


def _summary(report: ReleaseReport) -> str:
    """One line for people."""
    what = f"{report.version} {report.variant}"
    if report.outcome == "blocked":
        why = report.reasons[0] if report.reasons else "no cell is good"
        return f"{what} not released: {why}; nothing was written"
    if report.outcome == "failed":
        return f"{what} not released: {report.reasons[0]}"
    tags = ", ".join(report.tags)
    short = report.index.removeprefix("sha256:")[:12]
    left = "".join(f"; {arch} left out: {why}" for arch, why in sorted(report.left_out.items()))
    kept = f"; record {report.record.removeprefix('sha256:')[:12]}" if report.record else ""
    did = "written" if report.candidate and report.outcome == "released" else report.outcome
    return f"{what} {did} as {tags} ({short}){left}{kept}"
