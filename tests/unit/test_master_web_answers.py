"""The REST interface: no thread but the reactor's writes to a connection."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from buildbot.test.fake import endpoint
from buildbot.test.reactor import TestReactorMixin
from buildbot.test.util import www
from buildbot.www.rest import RestRootResource, V2RootResource
from minios_master.web_answers import ReactorRest, answer_in_reactor
from twisted.internet import defer, threads
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

if TYPE_CHECKING:
    import pytest


class Request(www.FakeRequest):  # type: ignore[misc]
    """Notes which threads wrote to it."""

    def __init__(self, path: bytes) -> None:
        super().__init__(path)
        self.channel = object()
        self.threads: set[int] = set()

    def write(self, data: bytes) -> None:
        self.threads.add(threading.get_ident())
        super().write(data)


class Answers(TestReactorMixin, www.WwwTestMixin, TestCase):  # type: ignore[misc]
    @defer.inlineCallbacks
    def setUp(self) -> Any:
        self.setup_test_reactor()
        # The test reactor has no threads, and would do at once what is asked of one.
        self.patch(threads, "deferToThread", deferToThread)
        self.master = yield self.make_master(url="http://server/")
        self.master.data._scanModule(endpoint)
        self.master.www.assertUserAllowed = lambda *_: defer.succeed(None)

    @defer.inlineCallbacks
    def get(self, path: bytes, kind: Any = ReactorRest) -> Any:
        rest = kind(self.master)
        rest.reconfigResource(self.master.config)
        request = Request(path)
        yield self.render_resource(rest, path, request=request)
        return request

    @defer.inlineCallbacks
    def test_in_the_reactors_thread(self) -> Any:
        request = yield self.get(b"/tests/13")
        assert request.threads == {threading.get_ident()}
        assert json.loads(request.written)["tests"][0]["testid"] == 13
        assert request.headers[b"content-length"] == [str(len(request.written)).encode()]

    @defer.inlineCallbacks
    def test_buildbots_own_writes_in_another(self) -> Any:
        """When this fails, Buildbot has mended it, and `ReactorRest` is of no more use."""
        request = yield self.get(b"/tests/13", V2RootResource)
        assert threading.get_ident() not in request.threads

    @defer.inlineCallbacks
    def test_what_is_not_there(self) -> Any:
        request = yield self.get(b"/tests/0")
        assert request.threads == {threading.get_ident()}
        assert request.responseCode == 404
        assert "error" in json.loads(request.written)

    @defer.inlineCallbacks
    def test_raw(self) -> Any:
        request = yield self.get(b"/rawtest")
        assert request.threads == {threading.get_ident()}
        assert request.written == b"value"

    @defer.inlineCallbacks
    def test_nobody_waits_for_it_any_more(self) -> Any:
        request = Request(b"/tests")
        request.channel = None
        rest = ReactorRest(self.master)
        rest.reconfigResource(self.master.config)
        yield self.render_resource(rest, b"/tests", request=request)
        assert request.written == b""

    @defer.inlineCallbacks
    def test_the_connection_ends_while_it_is_written(self) -> Any:
        def write(request: Any, _encoder: Any, _data: Any) -> None:
            request.write(b"some")
            request._request.gone = True

        self.patch(ReactorRest, "_write_json_data", staticmethod(write))
        self.patch(V2RootResource, "_write_json_data", staticmethod(write))
        request = yield self.get(b"/tests")
        assert request.gone
        assert request.threads == {threading.get_ident()}
        assert request.written == b"some"

    @defer.inlineCallbacks
    def test_an_answer_that_cannot_be_made(self) -> Any:
        def write(_request: Any, _encoder: Any, _data: Any) -> None:
            raise OSError("no memory")

        self.patch(V2RootResource, "_write_json_data", staticmethod(write))
        request = yield self.get(b"/tests")
        self.flushLoggedErrors(OSError)
        assert request.responseCode == 500
        assert "no memory" in json.loads(request.written)["error"]

    @defer.inlineCallbacks
    def test_head(self) -> Any:
        self.patch(Request, "method", b"HEAD")
        request = yield self.get(b"/tests/13")
        assert request.written == b""
        assert int(request.headers[b"content-length"][0]) > 0


def test_buildbot_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RestRootResource, "version_classes", {2: V2RootResource})
    answer_in_reactor()
    assert RestRootResource.version_classes == {2: ReactorRest}
