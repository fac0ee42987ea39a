"""A master for unit tests whose database and data API are real, and all else of it is not."""

from __future__ import annotations

from typing import Any

from buildbot.data.connector import DataConnector
from buildbot.db.model import Model
from buildbot.test import fakedb
from buildbot.test.fake import fakemaster
from buildbot.test.reactor import TestReactorMixin
from stepbed import make_tables
from twisted.internet import defer
from twisted.trial import unittest


class DataCase(TestReactorMixin, unittest.TestCase):  # type: ignore[misc]
    """Makes `master`, whose own row is in its database; a test's `setUp` adds others."""

    @defer.inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.patch(Model, "upgrade", make_tables)
        self.setup_test_reactor()
        self.master = yield fakemaster.make_master(self, wantDb=True, wantMq=True)
        self.master.mq.verifyMessages = False
        self.master.data = DataConnector()
        yield self.master.data.setServiceParent(self.master)
        yield self.master.db.insert_test_data([fakedb.Master(id=self.master.masterid)])
        yield self.master.startService()
        self.addCleanup(self.master.stopService)
